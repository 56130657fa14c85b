//! Each line of a golden frame says what its bytes mean, and so do the structs of `sbe_gen`.

use std::fs;
use std::path::Path;

/// The frame's bytes, and name and text of every line.
fn golden(path: &Path) -> (Vec<u8>, Vec<(String, String)>) {
    let (mut bytes, mut lines) = (Vec::new(), Vec::new());
    for line in fs::read_to_string(path).expect("a golden frame").lines() {
        let (digits, said) = line.split_once('|').unwrap_or((line, ""));
        bytes.extend(digits.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("a byte")));
        if let Some((name, text)) = said.split_once('=') {
            lines.push((name.trim().to_owned(), text.trim().to_owned()));
        }
    }
    (bytes, lines)
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Fields that are raw bytes are not compared.
fn is_opaque(name: &str) -> bool {
    name == "Signature" || name.starts_with("Reserved")
}

#[test]
fn structs_of_another_generator_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let mut frames = 0;
    for file in fs::read_dir(folder).expect("the golden frames") {
        let path = file.expect("a file").path();
        if path.extension().is_none_or(|extension| extension != "hex") {
            continue;
        }
        let (bytes, lines) = golden(&path);
        let [length, template, schema, version] = [6, 8, 10, 12].map(|at| word(&bytes, at));
        let (block, behind) = bytes[14..].split_at(usize::from(length));
        let Some(read) = independent::read(schema, template, block, behind) else {
            // It reads no block that is shorter than its schema's; the venue sends none.
            assert!(matches!((schema, version), (200 | 300, 0)), "{path:?}");
            continue;
        };
        let said: Vec<(String, String)> =
            lines[6..].iter().filter(|(name, _)| !is_opaque(name) && !name.starts_with("group.")).cloned().collect();
        let read: Vec<(String, String)> = read
            .fields
            .into_iter()
            .chain(read.entries.into_iter().flatten())
            .map(|(name, text)| (name.to_owned(), text))
            .collect();
        // Nor does it look since which version a field is there: of an older one, what it had is compared.
        let had = if version == 0 { said.len().min(read.len()) } else { read.len() };
        assert_eq!(read[..had], said, "{path:?}");
        frames += 1;
    }
    assert!(frames >= 70, "{frames} frames");
}
