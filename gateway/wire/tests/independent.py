"""Decodes every golden frame with the PyPI packages `sbe` and `sbedecoder` and the schemas in `schema/`.

Each line of a golden file says what its bytes mean; both decoders must say the same. Neither knows the Rust code.
"""

import pathlib

import sbe
from sbedecoder import SBEMessage, SBESchema
from sbedecoder.message import EnumMessageField

CRATE = pathlib.Path(__file__).resolve().parent.parent
SCHEMAS = {100: "session", 200: "order_entry", 300: "market_data"}
FRAMING_LENGTH = 6
HEADER_FIELD_COUNT = 6  # of the framing and message headers
OPAQUE = {"Signature", "Reserved1"}  # raw bytes, which decoders show as text


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


def main():
    decoders = {}
    for number, name in SCHEMAS.items():
        path = CRATE / "schema" / f"{name}.xml"
        with open(path, "rb") as file:
            first = sbe.Schema.parse(file)
        second = SBESchema()
        second.parse(str(path))
        decoders[number] = [("sbe", by_sbe, first), ("sbedecoder", by_sbedecoder, second)]
    paths = sorted((CRATE / "tests" / "golden").glob("*.hex"))
    assert paths, "no golden frames"
    for path in paths:
        frame, fields = read_golden(path)
        block, entries = split_blocks(fields)
        for name, decode, schema in decoders[int.from_bytes(frame[10:12], "little")]:
            decoded, decoded_entries = decode(schema, frame)
            check(f"{name}: {path.stem}", decoded, block)
            assert len(decoded_entries) == len(entries), f"{name}: {path.stem}: {len(decoded_entries)} entries"
            for decoded, entry in zip(decoded_entries, entries):
                check(f"{name}: {path.stem}", decoded, entry)
    print(f"{len(paths)} frames agree")


if __name__ == "__main__":
    main()
