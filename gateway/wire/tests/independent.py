"""Decodes every golden frame with the PyPI packages `sbe` and `sbedecoder` and the schemas in `schema/`.

Each line of a golden file says what its bytes mean; both decoders must say the same. Neither knows the Rust code.
A frame is also decoded with every other version of its schema that has its message: older bytes by a newer reader, and
newer bytes by an older one.
"""

import pathlib
from xml.etree import ElementTree

import sbe
from sbedecoder import SBEMessage, SBESchema
from sbedecoder.message import EnumMessageField

CRATE = pathlib.Path(__file__).resolve().parent.parent
SCHEMAS = ["schema/session", "schema/order_entry", "schema/market_data", "tests/schema/order_entry_v0", "tests/schema/market_data_v0"]
FRAMING_LENGTH = 6
HEADER_FIELD_COUNT = 6  # of the framing and message headers
OPAQUE = {"Signature", "Reserved1", "Reserved2"}  # raw bytes, which decoders show as text


def read_golden(path):
    """The frame's bytes, and (name, text) of every field behind the headers."""
    frame, fields = b"", []
    for line in path.read_text().splitlines():
        digits, _, annotation = line.partition("|")
        frame += bytes.fromhex(digits)
        if annotation:
            name, _, text = annotation.strip().partition(" =")
            fields.append((name, text.strip()))
    return frame, [field for field in fields[HEADER_FIELD_COUNT:] if field[0] not in OPAQUE]


def split_blocks(fields):
    """The block's fields by name, and those of each entry of its group."""
    start = next((i for i, (name, _) in enumerate(fields) if name == "group.numInGroup"), None)
    if start is None:
        return dict(fields), []
    count = int(fields[start][1])
    entries = fields[start + 1 :]
    length = len(entries) // count
    return dict(fields[: start - 1]), [dict(entries[i * length : (i + 1) * length]) for i in range(count)]


def by_sbe(schema, frame):
    """The block's fields by name as texts, and those of each entry, as `sbe` reads them."""
    values = schema.decode(frame[FRAMING_LENGTH:]).value
    flags = lambda value: isinstance(value, list) and not any(isinstance(entry, dict) for entry in value)
    groups = [value for value in values.values() if isinstance(value, list) and not flags(value)]

    def texts(values):
        said = {name: ",".join(value) if flags(value) else value for name, value in values.items()}
        return {name: "absent" if value is None else str(value) for name, value in said.items()}

    block = texts({name: value for name, value in values.items() if value not in groups})
    return block, [texts(entry) for group in groups for entry in group]


def by_sbedecoder(schema, frame):
    """The same as `sbedecoder` reads them."""

    def texts(fields):
        values = {
            field.original_name: field.enumerant if isinstance(field, EnumMessageField) else field.value
            for field in fields
        }
        return {name: "absent" if value is None else str(value).replace(", ", ",") for name, value in values.items()}

    message = SBEMessage.parse_message(schema, frame, FRAMING_LENGTH)
    block = texts(message.fields)
    # An entry's fields are objects that the next entry uses again: each is read before the next is asked for.
    return block, [texts(entry.fields) for group in message.groups for entry in group.repeating_groups]


def check(where, decoded, annotated):
    for name, text in annotated.items():
        assert decoded[name] == text, f"{where}: {name} is {decoded[name]!r}, not {text!r}"


def read_schema(path):
    """A schema's number, version, the block length and fields of each template, and both decoders of it.

    A field comes with the names of its codes, if it has any."""
    with open(path, "rb") as file:
        first = sbe.Schema.parse(file)
    second = SBESchema()
    second.parse(str(path))
    root = ElementTree.parse(path).getroot()
    messages = [node for node in root if node.tag.endswith("message")]
    enums = {node.get("name"): {code.get("name") for code in node} for node in root.iter("enum")}
    names = lambda message: {field.get("name"): enums.get(field.get("type")) for field in message.iter("field")}
    blocks = {int(message.get("id")): (int(message.get("blockLength")), names(message)) for message in messages}
    decoders = [("sbe", by_sbe, first), ("sbedecoder", by_sbedecoder, second)]
    return int(root.get("id")), int(root.get("version")), blocks, decoders


def check_frame(where, decoded, annotated, known):
    """Every field and code that the frame says, and the reader's schema knows, is read as it says it."""
    (block, entries), (said_block, said_entries) = decoded, annotated
    is_code = lambda name, text: known[name] is None or text == "absent" or text in known[name]
    only_known = lambda said: {name: text for name, text in said.items() if name in known and is_code(name, text)}
    check(where, block, only_known(said_block))
    assert len(entries) == len(said_entries), f"{where}: {len(entries)} entries"
    for entry, said in zip(entries, said_entries):
        check(where, entry, only_known(said))


def main():
    schemas = [read_schema(CRATE / f"{name}.xml") for name in SCHEMAS]
    paths = sorted((CRATE / "tests" / "golden").glob("*.hex"))
    assert paths, "no golden frames"
    crossed = 0
    for path in paths:
        frame, fields = read_golden(path)
        length, template, schema_id, written = (int.from_bytes(frame[at : at + 2], "little") for at in (6, 8, 10, 12))
        # Neither reads a block that is shorter than its schema's; the venue sends none.
        unknown = (1 << 16, {})
        reading = [schema for schema in schemas if schema[0] == schema_id and schema[2].get(template, unknown)[0] <= length]
        own = [schema[2][template][1] for schema in reading if schema[1] == written]
        assert own, f"{path.stem}: no schema of version {written}"
        annotated = split_blocks(fields)
        assert set(annotated[0]) <= set(own[0]), f"{path.stem}: a field that its own schema does not have"
        for _, version, blocks, decoders in reading:
            crossed += version != written
            for name, decode, schema in decoders:
                check_frame(f"{name} {version}: {path.stem}", decode(schema, frame), annotated, blocks[template][1])
    print(f"{crossed} of them by another version as well: {len(paths)} frames agree")


if __name__ == "__main__":
    main()
