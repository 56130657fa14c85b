//! Shows what an input of the target `commands` is: its steps, and where engine and model differ.
//!
//! Steps that the difference does not need are left out first, and what is left is written beside the input.

use std::{env, fs, panic};

use targets::commands::{HEADER_LENGTH, STEP_LENGTH, run};

/// What goes wrong with an input, in short; nothing: nothing.
fn fault(bytes: &[u8]) -> Option<String> {
    match panic::catch_unwind(|| run(bytes, |_| {})) {
        Ok(Ok(_)) => None,
        Ok(Err(difference)) => Some(difference.kind),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            Some(text.or_else(|| panic.downcast_ref::<&str>().map(|&it| it.to_owned())).unwrap_or_default())
        }
    }
}

fn main() {
    let path = env::args().nth(1).expect("the path of an input");
    let mut bytes = fs::read(&path).expect("an input");
    panic::set_hook(Box::new(|_| {}));
    let Some(wanted) = fault(&bytes) else { return println!("nothing is wrong with {path}") };
    let mut chunk = STEP_LENGTH * 64;
    while chunk >= STEP_LENGTH {
        let mut at = HEADER_LENGTH;
        while at < bytes.len() {
            let end = (at + chunk).min(bytes.len());
            let shorter = [&bytes[..at], &bytes[end..]].concat();
            if fault(&shorter).as_ref() == Some(&wanted) {
                bytes = shorter;
            } else {
                at += chunk;
            }
        }
        chunk /= 2;
    }
    let _ = panic::take_hook();
    fs::write(format!("{path}.shorter"), &bytes).expect("a file beside the input");
    println!("profile {}, opening {}, restore {}", bytes[0], bytes[1], bytes[2]);
    let result = run(&bytes, |step| println!("{} at {}: {:?}", step.name, step.at.0, step.command));
    match result {
        Ok(_) => println!("nothing is wrong"),
        Err(difference) => println!("{difference}"),
    }
}
