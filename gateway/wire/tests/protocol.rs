//! The tables in `docs/PROTOCOL.md` and `docs/MARKET_DATA.md` are those of the schemas.
//!
//! `BLESS=1 cargo test -p wire --test protocol` writes them anew.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node};

const BEGIN: &str = "<!-- from the schemas: begin -->\n";
const END: &str = "<!-- from the schemas: end -->";

fn path_of(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

#[test]
fn the_published_tables_are_those_of_the_schemas() {
    let schemas = [("Session", "session"), ("Order entry", "order_entry")];
    holds_tables("PROTOCOL.md", &schemas);
}

#[test]
fn the_published_market_data_tables_are_those_of_the_schema() {
    holds_tables("MARKET_DATA.md", &[("Market data", "market_data")]);
}

fn holds_tables(document: &str, schemas: &[(&str, &str)]) {
    let path = path_of(&format!("../../docs/{document}"));
    let published = read(&path);
    let (head, rest) = published.split_once(BEGIN).expect("where the tables begin");
    let (tables, tail) = rest.split_once(END).expect("where the tables end");
    let expected = tables_of_schemas(schemas);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, format!("{head}{BEGIN}{expected}{END}{tail}")).expect("the document can be written");
    } else {
        assert!(tables == expected, "docs/{document} is not what the schemas say: run with BLESS=1");
    }
}

#[test]
fn the_published_signed_texts_are_those_of_the_golden_frames() {
    let published = read(&path_of("../../docs/PROTOCOL.md"));
    let golden = read(&path_of("tests/golden.rs"));
    // What else is signed there is an example, which the client's tests hold.
    let is_general = |block: &&str| block.starts_with("Rialto ") && block.contains("SessionID=7\n");
    let texts: Vec<&str> = published.split("```\n").filter(is_general).collect();
    assert_eq!(texts.len(), 2);
    for text in texts {
        let literal = text.replace('\n', "\\n");
        let flattened = golden.replace("\\\n         ", "");
        assert!(flattened.contains(&literal), "no test signs {literal}");
    }
}

#[test]
fn the_published_order_is_the_golden_one() {
    let published = read(&path_of("../../docs/PROTOCOL.md"));
    let golden = read(&path_of("tests/golden/new_order_single.v1.hex"));
    assert!(published.contains(&format!("```hex\n{golden}```\n")));
}

#[test]
fn the_published_packet_is_the_golden_one() {
    let published = read(&path_of("../../docs/MARKET_DATA.md"));
    for name in ["packet_header.v1", "market_by_price.v1"] {
        let golden = read(&path_of(&format!("tests/golden/{name}.hex")));
        assert!(published.contains(&format!("```hex\n{golden}```\n")), "{name}");
    }
}

/// What the golden challenge asks key 5 to sign, in words and byte by byte.
#[test]
fn the_published_logon_is_that_of_the_golden_challenge() {
    let text = "Rialto Market Data Logon 1\nKeyID=5\nChallengeHigh=81985529216486895\nChallengeLow=42\n";
    assert!(read(&path_of("tests/golden.rs")).contains(&text.replace('\n', "\\\\n")));
    let published = read(&path_of("../../docs/MARKET_DATA.md"));
    assert!(published.contains(&format!("```\n{text}```\n")));
    let block = published.split("```\n").find(|block| block.starts_with("52 69 61 6c")).unwrap();
    // What a line means stands behind its bytes.
    let digits = block.lines().flat_map(|line| line.split("  ").next().unwrap().split(' '));
    let bytes: Vec<u8> = digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect();
    assert_eq!(bytes, text.as_bytes());
}

fn tables_of_schemas(schemas: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for &(title, name) in schemas {
        let text = read(&path_of(&format!("schema/{name}.xml")));
        let document = Document::parse(&text).expect("well-formed XML");
        let root = document.root_element();
        let [id, version] = ["id", "version"].map(|attribute| said(root, attribute));
        writeln!(out, "\n## {title}: schema {id}, version {version}").unwrap();
        named(root, "message").for_each(|message| write_message(&mut out, message));
        write_types(&mut out, title, root);
        named(root, "enum").filter(|node| is_first_use(name, *node)).for_each(|node| write_codes(&mut out, node));
        named(root, "set").for_each(|node| write_codes(&mut out, node));
    }
    out.push('\n');
    out
}

fn named<'a, 'i: 'a>(root: Node<'a, 'i>, tag: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    root.descendants().filter(move |node| node.tag_name().name() == tag)
}

fn said<'a>(node: Node<'a, '_>, attribute: &str) -> &'a str {
    node.attribute(attribute).unwrap_or_else(|| panic!("{node:?} has no {attribute}"))
}

fn write_message(out: &mut String, message: Node<'_, '_>) {
    let [name, id, length, meaning] = ["name", "id", "blockLength", "description"].map(|name| said(message, name));
    let since = since(message).map_or(String::new(), |version| format!(" Since version {version}."));
    writeln!(out, "\n### {name}\n\nTemplate {id}, {length} bytes. {meaning}{since}\n").unwrap();
    write_fields(out, message);
    for group in named(message, "group") {
        let [name, id, length, meaning] = ["name", "id", "blockLength", "description"].map(|name| said(group, name));
        writeln!(out, "\nGroup {name} ({id}), {length} bytes an entry. {meaning}\n").unwrap();
        write_fields(out, group);
    }
}

/// The version that something came with; absent: it was there from the first.
fn since<'a>(node: Node<'a, '_>) -> Option<&'a str> {
    node.attribute("sinceVersion")
}

/// The fields of a message without its group's, or of a group.
fn write_fields(out: &mut String, block: Node<'_, '_>) {
    writeln!(out, "| field | tag | type | offset | meaning |\n|---|---|---|---|---|").unwrap();
    for field in block.children().filter(|node| node.has_tag_name("field")) {
        let [name, tag, offset, meaning] = ["name", "id", "offset", "description"].map(|name| said(field, name));
        let optional = if field.attribute("presence").is_some() { ", optional" } else { "" };
        let since = since(field).map_or(String::new(), |version| format!(", since {version}"));
        let type_name = said(field, "type").trim_start_matches("Optional");
        writeln!(out, "| {name} | {tag} | {type_name}{optional}{since} | {offset} | {meaning} |").unwrap();
    }
}

/// One row for a type, whether it may be absent or not.
fn write_types(out: &mut String, title: &str, root: Node<'_, '_>) {
    writeln!(out, "\n### {title}: types\n").unwrap();
    writeln!(out, "| type | encoding | null value | meaning |\n|---|---|---|---|").unwrap();
    let types: Vec<Node<'_, '_>> =
        named(root, "type").filter(|node| node.parent().is_some_and(|parent| parent.has_tag_name("types"))).collect();
    let find = |name: &str| types.iter().find(|node| said(**node, "name") == name);
    for node in &types {
        let name = said(*node, "name");
        let required = name.trim_start_matches("Optional");
        if name.starts_with("Reserved") || (name != required && find(required).is_some()) {
            continue;
        }
        let optional = find(&format!("Optional{required}")).unwrap_or(node);
        let length = node.attribute("length").map_or(String::new(), |length| format!("[{length}]"));
        let [primitive, meaning] = ["primitiveType", "description"].map(|attribute| said(*node, attribute));
        let null = optional.attribute("nullValue").unwrap_or_default();
        writeln!(out, "| {required} | {primitive}{length} | {null} | {meaning} |").unwrap();
    }
}

/// Reasons are in both schemas.
fn is_first_use(schema: &str, node: Node<'_, '_>) -> bool {
    schema == "session" || said(node, "name") != "RejectReason"
}

fn write_codes(out: &mut String, node: Node<'_, '_>) {
    let [name, meaning] = ["name", "description"].map(|attribute| said(node, attribute));
    let encoding = said(node, "encodingType");
    writeln!(out, "\n### {name}\n\n{encoding}. {meaning}").unwrap();
    let engine_max = if name == "RejectReason" { 1999 } else { -1 };
    if engine_max > 0 {
        writeln!(out, "Codes below 2000 are in [MATCHING_RULES.md](MATCHING_RULES.md#9-rejects).").unwrap();
    }
    writeln!(out, "\n| code | name | meaning |\n|---|---|---|").unwrap();
    for value in node.children().filter(Node::is_element) {
        let code: i32 = value.text().and_then(|text| text.parse().ok()).expect("a code");
        if code > engine_max {
            writeln!(out, "| {code} | {} | {} |", said(value, "name"), said(value, "description")).unwrap();
        }
    }
}
