//! The schemas in `schema/` and the Rust types say the same, in either direction, and the schemas keep to the subset of
//! SBE that independent decoders read alike.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use engine::canonical::Code;
use roxmltree::{Document, Node};
use wire::layout::{CodeLayout, Encoding, FieldLayout, MessageLayout, Presence, ValueLayout};
use wire::{EdgeReason, Schema, market_data, order_entry, session};

const SCHEMAS: [(&str, Schema, &[MessageLayout]); 3] = [
    ("session", session::SCHEMA, session::MESSAGES),
    ("order_entry", order_entry::SCHEMA, order_entry::MESSAGES),
    ("market_data", market_data::SCHEMA, market_data::MESSAGES),
];

fn text_of(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schema/{name}.xml"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// Calls `check` with each schema's name, document, and what the Rust types say.
fn each_schema(mut check: impl FnMut(&str, Node<'_, '_>, Schema, &[MessageLayout])) {
    for (name, schema, messages) in SCHEMAS {
        let text = text_of(name);
        let document = Document::parse(&text).expect("well-formed XML");
        check(name, document.root_element(), schema, messages);
    }
}

fn elements<'a, 'i>(parent: Node<'a, 'i>, tag: &'a str) -> impl Iterator<Item = Node<'a, 'i>> {
    parent.children().filter(move |node| node.has_tag_name(tag) || node.tag_name().name() == tag)
}

fn attribute<'a>(node: Node<'a, '_>, name: &str) -> &'a str {
    node.attribute(name).unwrap_or_else(|| panic!("{:?} has no {name}", node.attribute("name")))
}

fn number<T: std::str::FromStr>(node: Node<'_, '_>, name: &str) -> T {
    attribute(node, name).parse().unwrap_or_else(|_| panic!("{:?}: {name} is no number", node.attribute("name")))
}

/// A field as both sides can say it: name, tag, offset, since version, type, presence, description.
type FieldRow = (String, u16, u16, u16, String, Presence, String);

fn field_of_schema(node: Node<'_, '_>) -> FieldRow {
    let presence = match node.attribute("presence") {
        Some("optional") => Presence::Optional,
        None => Presence::Required,
        Some(other) => panic!("presence {other}"),
    };
    let since = node.attribute("sinceVersion").map_or(0, |since| since.parse().expect("a version"));
    let [name, type_name, description] = ["name", "type", "description"].map(|name| attribute(node, name).to_owned());
    (name, number(node, "id"), number(node, "offset"), since, type_name, presence, description)
}

fn field_of_rust(field: &FieldLayout) -> FieldRow {
    let FieldLayout { name, id, offset, since_version, value, description } = *field;
    let described = description.trim().to_owned();
    (name.to_owned(), id, offset, since_version, type_name(&value), value.presence, described)
}

/// Fillers of every length have a type of their own in the schema.
fn type_name(value: &ValueLayout) -> String {
    match value.type_name {
        "Reserved" => format!("Reserved{}", value.count),
        name => name.to_owned(),
    }
}

fn check_fields(block: &str, node: Node<'_, '_>, fields: &[FieldLayout]) {
    let of_schema: Vec<FieldRow> = elements(node, "field").map(field_of_schema).collect();
    let mut of_rust: Vec<FieldRow> = fields.iter().map(field_of_rust).collect();
    // In Rust what fills a block stands behind its fields.
    of_rust.sort_by_key(|&(_, _, offset, ..)| offset);
    assert_eq!(of_schema, of_rust, "{block}");
}

#[test]
fn every_message_and_field_agrees() {
    each_schema(|name, root, schema, messages| {
        assert_eq!(number::<u16>(root, "id"), schema.id.0, "{name}");
        assert_eq!(number::<u16>(root, "version"), schema.version.0, "{name}");
        assert_eq!(attribute(root, "byteOrder"), "littleEndian");
        let mut of_rust: BTreeMap<u16, &MessageLayout> =
            messages.iter().map(|message| (message.template_id, message)).collect();
        assert_eq!(of_rust.len(), messages.len(), "{name}: a template id stands twice");
        for node in elements(root, "message") {
            let message = of_rust.remove(&number(node, "id")).unwrap_or_else(|| panic!("{name}: {node:?} in Rust"));
            check_message(node, message);
        }
        assert!(of_rust.is_empty(), "{name}: not in the schema: {:?}", of_rust.keys());
    });
}

fn check_message(node: Node<'_, '_>, message: &MessageLayout) {
    assert_eq!(attribute(node, "name"), message.name);
    assert_eq!(number::<u16>(node, "blockLength"), message.block_length, "{}", message.name);
    assert_eq!(attribute(node, "description"), message.description.trim(), "{}", message.name);
    check_fields(message.name, node, message.fields);
    let groups: Vec<Node<'_, '_>> = elements(node, "group").collect();
    assert_eq!(groups.len(), usize::from(message.group.is_some()), "{}", message.name);
    for (node, group) in groups.into_iter().zip(message.group) {
        assert_eq!(attribute(node, "name"), group.name, "{}", message.name);
        assert_eq!(number::<u16>(node, "id"), group.id, "{}", message.name);
        assert_eq!(number::<u16>(node, "blockLength"), group.block_length, "{}", message.name);
        assert_eq!(attribute(node, "description"), group.description.trim(), "{}", message.name);
        assert_eq!(attribute(node, "dimensionType"), "groupSizeEncoding", "{}", message.name);
        check_fields(message.name, node, group.fields);
    }
}

/// Every type that a field of the schema's Rust types has, by its name in the schema.
fn types_of_rust(messages: &[MessageLayout]) -> BTreeMap<String, ValueLayout> {
    let fields =
        messages.iter().flat_map(|message| message.fields.iter().chain(message.group.map_or(&[][..], |g| g.fields)));
    fields.map(|field| (type_name(&field.value), field.value)).collect()
}

#[test]
fn every_type_agrees() {
    each_schema(|name, root, _, messages| {
        let types = elements(root, "types").next().expect("types");
        let mut of_rust = types_of_rust(messages);
        for node in types.children().filter(Node::is_element) {
            let type_name = attribute(node, "name");
            match node.tag_name().name() {
                "type" if ["Code8", "Code16", "Flags8"].contains(&type_name) => {}
                "composite" => {}
                kind => {
                    let value = of_rust.remove(type_name).unwrap_or_else(|| panic!("{name}: {type_name} is not used"));
                    check_type(kind, types, node, &value);
                }
            }
        }
        assert!(of_rust.is_empty(), "{name}: not in the schema: {:?}", of_rust.keys());
    });
}

fn check_type(kind: &str, types: Node<'_, '_>, node: Node<'_, '_>, value: &ValueLayout) {
    let name = attribute(node, "name");
    match (kind, value.encoding) {
        ("type", Encoding::Integer) => check_integer(node, value),
        ("type", Encoding::Characters) => {
            assert_eq!(attribute(node, "primitiveType"), "char");
            assert_eq!(number::<u16>(node, "length"), value.count, "{name}");
        }
        ("enum", Encoding::Enumeration) => {
            assert_eq!(codes_of_schema(node, "validValue"), codes_of_rust(value), "{name}");
            let base = encoding_type(types, node);
            assert_eq!(attribute(base, "primitiveType"), value.primitive, "{name}");
            let null = if value.primitive_bytes == 1 { "255" } else { "65535" };
            assert_eq!(base.attribute("nullValue"), Some(null), "{name}");
        }
        ("set", Encoding::Set) => {
            assert_eq!(codes_of_schema(node, "choice"), owned(value.codes.iter().copied()), "{name}");
            assert_eq!(attribute(encoding_type(types, node), "primitiveType"), value.primitive, "{name}");
        }
        (kind, encoding) => panic!("{name} is a {kind} in the schema and {encoding:?} in Rust"),
    }
}

fn check_integer(node: Node<'_, '_>, value: &ValueLayout) {
    let name = attribute(node, "name");
    assert_eq!(attribute(node, "primitiveType"), value.primitive, "{name}");
    let null = value.null.map(|null| null.to_string());
    assert_eq!(node.attribute("nullValue"), null.as_deref(), "{name}");
    let presence = if value.presence == Presence::Optional { Some("optional") } else { None };
    assert_eq!(node.attribute("presence"), presence, "{name}");
}

fn encoding_type<'a, 'i>(types: Node<'a, 'i>, node: Node<'a, 'i>) -> Node<'a, 'i> {
    let name = attribute(node, "encodingType");
    elements(types, "type").find(|node| attribute(*node, "name") == name).expect("the encoding type")
}

fn codes_of_schema(node: Node<'_, '_>, tag: &str) -> Vec<(String, u16, String)> {
    node.children()
        .filter(|child| child.tag_name().name() == tag)
        .map(|code| {
            let value = code.text().expect("a code").parse().expect("a number");
            (attribute(code, "name").to_owned(), value, attribute(code, "description").to_owned())
        })
        .collect()
}

fn owned(codes: impl Iterator<Item = CodeLayout>) -> Vec<(String, u16, String)> {
    codes.map(|code| (code.name.to_owned(), code.code, code.description.trim().to_owned())).collect()
}

fn codes_of_rust(value: &ValueLayout) -> Vec<(String, u16, String)> {
    let mut codes = match value.type_name {
        "RejectReason" => {
            let mut codes = codes_of_engine::<engine::RejectReason>();
            codes.extend(owned(EdgeReason::ALL.iter().copied()));
            codes
        }
        "CancelReason" => codes_of_engine::<engine::CancelReason>(),
        _ => owned(value.codes.iter().copied()),
    };
    let unknown = if value.primitive_bytes == 1 { 254 } else { 65_534 };
    codes.push(("NonRepresentable".into(), unknown, "A code that the reader does not know; never sent.".into()));
    codes
}

/// The engine keeps no descriptions at run time: they are read from its source.
fn codes_of_engine<T: Code>() -> Vec<(String, u16, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../engine/src/reject.rs");
    let source = fs::read_to_string(path).expect("the engine's source");
    let declaration = source.split(&format!("pub enum {}: u16 {{", T::NAME)).nth(1).expect("the declaration");
    let lines: Vec<&str> = declaration.lines().map(str::trim).collect();
    let describe = |value: &T| {
        let line = format!("{} = {},", value.name(), value.code());
        let position = lines.iter().position(|&found| found == line).expect("the value's line");
        (value.name().to_owned(), value.code(), lines[position - 1].trim_start_matches("/// ").to_owned())
    };
    T::ALL.iter().map(describe).collect()
}

#[test]
fn schemas_keep_to_the_portable_profile() {
    let mut templates = BTreeSet::new();
    each_schema(|name, root, _, _| {
        let types = elements(root, "types").next().expect("types");
        let composites: Vec<&str> = elements(types, "composite").map(|node| attribute(node, "name")).collect();
        assert!(composites.iter().all(|name| ["messageHeader", "groupSizeEncoding"].contains(name)), "{name}");
        for node in elements(types, "type") {
            check_portable_type(node);
        }
        for node in
            root.descendants().filter(|node| ["validValue", "choice", "field"].contains(&node.tag_name().name()))
        {
            assert!(!attribute(node, "description").is_empty(), "{name}: {node:?}");
        }
        for message in elements(root, "message") {
            assert!(templates.insert(number::<u16>(message, "id")), "a template id belongs to one message");
            assert!(message.descendants().all(|node| node.tag_name().name() != "data"), "{name}: no var-data");
            let groups: Vec<Node<'_, '_>> = elements(message, "group").collect();
            for block in groups.iter().copied().chain([message]) {
                check_portable_block(types, block);
            }
            assert!(groups.iter().all(|group| elements(*group, "group").next().is_none()), "{name}: one level");
        }
    });
}

fn check_portable_type(node: Node<'_, '_>) {
    let name = attribute(node, "name");
    let primitive = attribute(node, "primitiveType");
    assert_ne!(name.to_lowercase(), primitive, "a type is not named like a primitive one");
    assert!(!["U8", "U16", "U32", "U64", "I8", "I16", "I32", "I64"].contains(&name));
    assert!(node.attribute("length").is_none() || primitive == "char", "{name}: no numeric arrays");
    assert_eq!(node.attribute("presence").is_some(), node.attribute("nullValue").is_some(), "{name}");
    assert_ne!(node.attribute("nullValue"), Some("0"), "{name}: sbedecoder does not see a null of zero");
}

fn check_portable_block(types: Node<'_, '_>, block: Node<'_, '_>) {
    let name = attribute(block, "name");
    let mut ids = BTreeSet::new();
    let mut names = BTreeSet::new();
    let mut end = 0;
    let mut version = 0;
    for field in elements(block, "field") {
        let type_name = attribute(field, "type");
        let declared = types.children().find(|node| node.attribute("name") == Some(type_name)).expect("a named type");
        let base = if declared.has_tag_name("type") { declared } else { encoding_type(types, declared) };
        let width = match attribute(base, "primitiveType") {
            "char" | "int8" | "uint8" => 1,
            "uint16" => 2,
            "uint32" => 4,
            "int64" | "uint64" => 8,
            other => panic!("{name}: {other}"),
        };
        let offset: usize = number(field, "offset");
        assert_eq!(offset, end, "{name}: no gaps");
        assert_eq!(offset % width, 0, "{name}: natural alignment");
        end = offset + width * base.attribute("length").map_or(1, |length| length.parse().expect("a length"));
        let since = field.attribute("sinceVersion").map_or(0, |since| since.parse().expect("a version"));
        assert!(since >= version, "{name}: fields are only appended");
        version = since;
        assert!(ids.insert(number::<u16>(field, "id")), "{name}: a tag stands twice");
        assert!(names.insert(attribute(field, "name")), "{name}: a name stands twice");
    }
    assert_eq!(end, number::<usize>(block, "blockLength"), "{name}: the block's length");
    assert_eq!(end % 8, 0, "{name}: whole words");
}

#[test]
fn a_tag_means_one_field_everywhere() {
    let mut names: BTreeMap<u16, String> = BTreeMap::new();
    each_schema(|schema, root, _, _| {
        for field in root.descendants().filter(|node| node.has_tag_name("field")) {
            let (id, name) = (number(field, "id"), attribute(field, "name"));
            let first = names.entry(id).or_insert_with(|| name.to_owned());
            assert_eq!(first, name, "{schema}: tag {id}");
        }
    });
    let distinct: BTreeSet<&String> = names.values().collect();
    assert_eq!(distinct.len(), names.len(), "one name has one tag");
}
