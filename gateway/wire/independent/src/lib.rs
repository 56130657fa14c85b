//! The schemas read by code that another generator makes of them: what the wire's own codec says is not asked.

/// Fields with what they say, as the golden frames write it.
pub type Fields = Vec<(&'static str, String)>;

/// What a frame says.
pub struct Read {
    /// The block's fields.
    pub fields: Fields,
    /// Those of each entry of its group.
    pub entries: Vec<Fields>,
}

include!(concat!(env!("OUT_DIR"), "/glue.rs"));

fn characters(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

fn optional(value: i128, null: i128) -> String {
    if value == null { "absent".to_owned() } else { value.to_string() }
}

fn code(value: i128, null: i128, codes: &[(i128, &str)]) -> String {
    if value == null {
        return "absent".to_owned();
    }
    codes.iter().find(|(code, _)| *code == value).map_or_else(|| value.to_string(), |(_, name)| (*name).to_owned())
}

fn flags(value: i128, choices: &[(i128, &str)]) -> String {
    let set = choices.iter().filter(|(bit, _)| value >> bit & 1 == 1);
    set.map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}
