//! Writes the inputs that each target begins with into its corpus, and the dictionary of the protocol beside them.

use std::fs;
use std::path::Path;

fn main() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, seeds) in [
        ("commands", targets::commands::seeds()),
        ("snapshot", targets::snapshot::seeds()),
        ("wire", targets::frames::seeds()),
        ("session", targets::session::seeds()),
        ("login", targets::login::seeds()),
        ("subscriber", targets::subscriber::seeds()),
        ("requests", targets::requests::seeds()),
        ("segment", targets::segment::seeds()),
        ("batch", targets::batch::seeds()),
    ] {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder).expect("a folder for the corpus");
        let bytes: usize = seeds.iter().map(|(_, bytes)| bytes.len()).sum();
        println!("{target}: {} inputs, {bytes} bytes", seeds.len());
        for (name, bytes) in seeds {
            fs::write(folder.join(name), bytes).expect("an input");
        }
    }
    fs::write(corpus.join("protocol.dict"), targets::frames::dictionary()).expect("the dictionary");
}
