//! Lets `sbe_gen` make Rust of the schemas, and writes beside it, for each message, which of its fields says what.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use heck::ToSnakeCase;
use roxmltree::{Document, Node};

const SCHEMAS: [&str; 3] = ["session", "order_entry", "market_data"];

fn main() {
    let out = env::var("OUT_DIR").expect("cargo says where");
    let mut glue = String::new();
    let mut arms = String::new();
    for name in SCHEMAS {
        let path = format!("../schema/{name}.xml");
        println!("cargo:rerun-if-changed={path}");
        let xml = fs::read_to_string(&path).expect("the schema");
        let folder = Path::new(&out).join(name);
        sbe_gen::generate_to(&xml, &folder, &sbe_gen::GeneratorOptions::default()).expect("sbe_gen reads the schema");
        let module = folder.join("mod.rs");
        writeln!(glue, "#[allow(warnings, clippy::all)]\n#[path = {module:?}]\nmod {name};").expect("room");
        let document = Document::parse(&xml).expect("well-formed XML");
        let root = document.root_element();
        for message in root.children().filter(|node| node.tag_name().name() == "message") {
            let function = format!("{name}_{}", said(message, "name").to_snake_case());
            let (schema, template) = (said(root, "id"), said(message, "id"));
            writeln!(arms, "        ({schema}, {template}) => {function}(block, behind),").expect("room");
            glue.push_str(&reader(root, name, message, &function));
        }
    }
    let read = format!(
        "/// The fields that a frame's block says, and those of its entries; none: no such message.\n\
         pub fn read(schema: u16, template: u16, block: &[u8], behind: &[u8]) -> Option<Read> {{\n    \
         match (schema, template) {{\n{arms}        _ => None,\n    }}\n}}\n"
    );
    fs::write(Path::new(&out).join("glue.rs"), glue + &read).expect("the glue");
}

fn said<'a>(node: Node<'a, '_>, attribute: &str) -> &'a str {
    node.attribute(attribute).unwrap_or_else(|| panic!("{node:?} has no {attribute}"))
}

/// A function that reads one message.
fn reader(root: Node<'_, '_>, schema: &str, message: Node<'_, '_>, function: &str) -> String {
    let name = said(message, "name");
    let module = format!("{schema}::{}", name.to_snake_case());
    let mut body = String::new();
    for field in fields(message) {
        let value = format!("message.{}", said(field, "name").to_snake_case());
        writeln!(body, "    fields.push(({:?}, {}));", said(field, "name"), text(root, field, &value)).expect("room");
    }
    let group = message.children().find(|node| node.tag_name().name() == "group");
    if let Some(group) = group {
        let parse = format!("{module}::parse_{}", said(group, "name").to_snake_case());
        writeln!(body, "    for entry in {parse}(behind)?.iter() {{\n        let mut fields = Vec::new();")
            .expect("room");
        for field in fields(group) {
            let value = format!("(*entry.{}()?)", said(field, "name").to_snake_case());
            writeln!(body, "        fields.push(({:?}, {}));", said(field, "name"), text(root, field, &value))
                .expect("room");
        }
        writeln!(body, "        entries.push(fields);\n    }}").expect("room");
    }
    let (entries, behind) = if group.is_some() { ("let mut entries", "behind") } else { ("let entries", "_") };
    format!(
        "fn {function}(block: &[u8], {behind}: &[u8]) -> Option<Read> {{\n    \
         let (message, _) = {module}::{name}::parse_prefix(block)?;\n    \
         let mut fields = Vec::new();\n    {entries}: Vec<Fields> = Vec::new();\n{body}    \
         Some(Read {{ fields, entries }})\n}}\n"
    )
}

/// The fields with a meaning.
fn fields<'a, 'i>(block: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    block.children().filter(|node| {
        node.has_tag_name("field") && !said(*node, "name").starts_with("Reserved") && said(*node, "name") != "Signature"
    })
}

/// An expression for a field's value as the golden frames write it.
fn text(root: Node<'_, '_>, field: Node<'_, '_>, value: &str) -> String {
    let types = root.children().find(|node| node.has_tag_name("types")).expect("types");
    let find = |name: &str| types.children().find(|node| node.attribute("name") == Some(name)).expect("the type");
    let declared = find(said(field, "type"));
    let kind = declared.tag_name().name();
    let base = if kind == "type" { declared } else { find(said(declared, "encodingType")) };
    let number = |value: &str| match said(base, "primitiveType") {
        "uint8" | "int8" => format!("i128::from({value})"),
        _ => format!("i128::from({value}.get())"),
    };
    match kind {
        "type" if said(base, "primitiveType") == "char" => format!("characters(&{value})"),
        "type" => match base.attribute("nullValue") {
            Some(null) => format!("optional({}, {null})", number(value)),
            None => format!("({}).to_string()", number(value)),
        },
        "enum" => {
            let codes: Vec<(i128, &str)> = codes(declared).collect();
            format!("code({}, {}, &{codes:?})", number(&format!("{value}.0")), said(base, "nullValue"))
        }
        _ => {
            let choices: Vec<(i128, &str)> = codes(declared).collect();
            format!("flags({}, &{choices:?})", number(&format!("{value}.0")))
        }
    }
}

fn codes<'a, 'i>(declared: Node<'a, 'i>) -> impl Iterator<Item = (i128, &'a str)> {
    let values = declared.children().filter(Node::is_element);
    values.map(|value| (value.text().expect("a code").parse().expect("a number"), said(value, "name")))
}
