//! What a subscriber may ask, as JSON. Fields that are not known are left alone: clients of other venues send some.

use serde::Deserialize;

use super::channel::Stream;

/// Bytes of the longest request.
pub(super) const REQUEST_BYTES_MAX: usize = 16 << 10;

/// A request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) kind: Kind,
    /// Channels with the names of their products; no name with an end: all products.
    pub(super) channels: Vec<(Stream, Vec<String>)>,
}

/// What becomes of the channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Subscribe,
    Unsubscribe,
}

impl Kind {
    /// What is said when it is refused.
    pub(super) const fn failed(self) -> &'static str {
        match self {
            Self::Subscribe => "Failed to subscribe",
            Self::Unsubscribe => "Failed to unsubscribe",
        }
    }
}

/// Why something is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) message: &'static str,
    pub(super) reason: String,
}

#[derive(Debug, Deserialize)]
struct Raw {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    product_ids: Vec<String>,
    #[serde(default)]
    channels: Vec<RawChannel>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawChannel {
    Name(String),
    Detailed {
        name: String,
        #[serde(default)]
        product_ids: Vec<String>,
    },
}

/// Channels of products that one request may name: as many as a connection may have, some twice.
const PAIRS_MAX: usize = 2_048;

impl Request {
    /// Reads a request.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let raw: Raw = serde_json::from_str(text)
            .map_err(|error| Refusal { message: "Malformed request", reason: error.to_string() })?;
        let kind = raw.kind;
        let refuse = |reason: String| Refusal { message: kind.failed(), reason };
        if raw.channels.is_empty() {
            return Err(refuse("channels: name at least one".to_owned()));
        }
        let named = raw.channels.iter().map(|channel| match channel {
            RawChannel::Name(_) => raw.product_ids.len(),
            RawChannel::Detailed { product_ids, .. } => raw.product_ids.len() + product_ids.len(),
        });
        if named.sum::<usize>() > PAIRS_MAX {
            return Err(refuse(format!("channels: more than {PAIRS_MAX} channels of products in one request")));
        }
        let mut channels = Vec::new();
        for channel in raw.channels {
            let (name, mut products) = match channel {
                RawChannel::Name(name) => (name, Vec::new()),
                RawChannel::Detailed { name, product_ids } => (name, product_ids),
            };
            let stream = Stream::named(&name)
                .ok_or_else(|| refuse(format!("channels: {:?} is no channel", beginning(&name))))?;
            products.extend_from_slice(&raw.product_ids);
            if products.is_empty() && kind == Kind::Subscribe {
                return Err(refuse(format!("product_ids: name at least one for channel {name:?}")));
            }
            channels.push((stream, products));
        }
        Ok(Self { kind, channels })
    }
}

/// As much of a peer's text as is said back to it.
pub(super) fn beginning(text: &str) -> &str {
    text.char_indices().nth(32).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_request_names_no_more_channels_of_products_than_anybody_needs() {
        let request = |channels: usize, products: usize| {
            let list = |name: &str, count| vec![format!("{name:?}"); count].join(",");
            let (channels, products) = (list("ticker", channels), list("BTC-USD", products));
            Request::parse(&format!(r#"{{"type":"unsubscribe","product_ids":[{products}],"channels":[{channels}]}}"#))
        };
        assert!(request(2, 1_024).is_ok());
        let reason = "channels: more than 2048 channels of products in one request".to_owned();
        let refusal = Refusal { message: Kind::Unsubscribe.failed(), reason };
        assert_eq!(request(2, 1_025), Err(refusal));
    }

    #[test]
    fn channels_are_names_or_objects_and_take_the_products_of_both() {
        let text = r#"{"type":"subscribe","product_ids":["BTC-USD"],
            "channels":["ticker",{"name":"level2","product_ids":["ETH-USD"]}],"signature":"unknown here"}"#;
        let channels = vec![(Stream::Ticker, names(&["BTC-USD"])), (Stream::Level2, names(&["ETH-USD", "BTC-USD"]))];
        assert_eq!(Request::parse(text), Ok(Request { kind: Kind::Subscribe, channels }));
        let text = r#"{"type":"unsubscribe","channels":["full"]}"#;
        let channels = vec![(Stream::Full, Vec::new())];
        assert_eq!(Request::parse(text), Ok(Request { kind: Kind::Unsubscribe, channels }));
    }

    #[test]
    fn a_refusal_names_the_field_and_the_reason() {
        for (text, message, reason) in [
            ("{", "Malformed request", "EOF"),
            ("[]", "Malformed request", "invalid length 0"),
            (r#"{"type":"order"}"#, "Malformed request", "unknown variant `order`"),
            (r#"{"type":"subscribe"}"#, "Failed to subscribe", "channels: name at least one"),
            (r#"{"type":"subscribe","channels":["nope"]}"#, "Failed to subscribe", "channels: \"nope\" is no channel"),
            (
                r#"{"type":"subscribe","channels":["éééééééééééééééééééééééééééééééé!"]}"#,
                "Failed to subscribe",
                "é\" is no channel",
            ),
            (r#"{"type":"subscribe","channels":["full"]}"#, "Failed to subscribe", "product_ids: name at least one"),
            (r#"{"type":"unsubscribe","channels":[]}"#, "Failed to unsubscribe", "channels: name at least one"),
        ] {
            let refusal = Request::parse(text).unwrap_err();
            assert_eq!(refusal.message, message, "{text}");
            assert!(refusal.reason.contains(reason), "{text}: {}", refusal.reason);
        }
    }
}
