//! Traces of sampled orders, for whoever collects them: OTLP over HTTP, behind the feature `otlp`.
//!
//! A trace is a command's way from its bytes' arrival to its report's: a span for the whole, and below it one for each hop,
//! by the names that the histograms have. They are made of the same stamps, on a thread of its own; the core and the doors
//! do for a trace what they do without it. A collector that is slow, or gone, costs traces and nothing else.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ureq::http::Uri;

#[cfg(feature = "otlp")]
mod export;
#[cfg(not(feature = "otlp"))]
#[path = "traces/absent.rs"]
mod export;

pub(crate) use export::{Exporter, Traces};

/// Where a collector takes what it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorUrl {
    text: String,
    is_tls: bool,
}

impl FromStr for CollectorUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("no URL: {error}"))?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("it begins with http:// or https://".to_owned()),
        };
        if uri.host().is_none_or(str::is_empty) {
            return Err("it names no host".to_owned());
        }
        if text.contains(['?', '#']) {
            return Err("a query or a fragment has no place in it".to_owned());
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("a name or a password has no place in it: OTEL_EXPORTER_OTLP_HEADERS takes tokens".to_owned());
        }
        Ok(Self { text: text.trim_end_matches('/').to_owned(), is_tls })
    }
}

impl Display for CollectorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why traces cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TracesError {
    /// The program cannot.
    #[error("--otlp-endpoint: this program was built without traces; build it with --features otlp")]
    NotBuilt,
    /// Nobody could be trusted.
    #[error("--otlp-endpoint {0} needs --otlp-ca: the certificates that it is trusted by")]
    NoAuthority(String),
    /// Nothing is sent.
    #[error("--otlp-ca needs --otlp-endpoint: where traces are sent")]
    NoEndpoint,
    /// Nobody has to be trusted.
    #[error("--otlp-ca: the endpoint {0} is without TLS; say https, or leave the file out")]
    UnusedAuthority(String),
    /// The file of certificates cannot be used.
    #[error("--otlp-ca {file}: {reason}")]
    Authority {
        /// Which.
        file: String,
        /// Why.
        reason: String,
    },
    /// What the environment says of it cannot be followed.
    #[error("--otlp-endpoint: {0}")]
    Exporter(String),
}

/// What becomes of traces.
#[derive(Debug)]
#[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "nobody sends"))]
pub(crate) struct TracePlan {
    /// Where they are sent.
    endpoint: CollectorUrl,
    /// Whom TLS trusts there.
    authority: Option<PathBuf>,
    /// One in so many samples.
    every: u32,
}

impl TracePlan {
    /// None: nothing is sent.
    pub(crate) fn new(
        endpoint: Option<&CollectorUrl>,
        authority: Option<&Path>,
        every: u32,
    ) -> Result<Option<Self>, TracesError> {
        let Some(endpoint) = endpoint else {
            return authority.map_or(Ok(None), |_| Err(TracesError::NoEndpoint));
        };
        if cfg!(not(feature = "otlp")) {
            return Err(TracesError::NotBuilt);
        }
        match (endpoint.is_tls, authority) {
            (true, None) => Err(TracesError::NoAuthority(endpoint.to_string())),
            (false, Some(_)) => Err(TracesError::UnusedAuthority(endpoint.to_string())),
            _ => Ok(Some(Self { endpoint: endpoint.clone(), authority: authority.map(Path::to_owned), every })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_named_by_an_address_on_the_web() {
        for (text, expected) in [
            ("http://127.0.0.1:4318", Ok("http://127.0.0.1:4318")),
            ("https://collector.example:4318/in/", Ok("https://collector.example:4318/in")),
            ("127.0.0.1:4318", Err("it begins with http:// or https://")),
            ("grpc://127.0.0.1:4317", Err("it begins with http:// or https://")),
            ("http://collector/?token=1", Err("a query or a fragment has no place in it")),
            ("http://collector/#here", Err("a query or a fragment has no place in it")),
            ("http://:80", Err("it names no host")),
            (
                "http://who:secret@collector",
                Err("a name or a password has no place in it: OTEL_EXPORTER_OTLP_HEADERS takes tokens"),
            ),
            ("http://a b", Err("no URL: invalid uri character")),
        ] {
            let found = text.parse::<CollectorUrl>().map(|url| url.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }

    #[test]
    fn who_is_trusted_is_said_where_there_is_tls_and_only_there() {
        let plan = |url: Option<&str>, authority: Option<&str>| {
            TracePlan::new(url.map(|url| url.parse().unwrap()).as_ref(), authority.map(Path::new), 1)
                .map(|plan| plan.is_some())
                .map_err(|error| error.to_string())
        };
        let built = |found: Result<bool, &str>| match cfg!(feature = "otlp") {
            true => found.map_err(str::to_owned),
            false => {
                Err("--otlp-endpoint: this program was built without traces; build it with --features otlp".to_owned())
            }
        };
        let (plain, tls, file) = (Some("http://c"), Some("https://c"), Some("ca.pem"));
        assert_eq!(plan(None, None), Ok(false));
        assert_eq!(plan(None, file), Err("--otlp-ca needs --otlp-endpoint: where traces are sent".to_owned()));
        for (url, authority, expected) in [
            (plain, None, Ok(true)),
            (tls, file, Ok(true)),
            (tls, None, Err("--otlp-endpoint https://c needs --otlp-ca: the certificates that it is trusted by")),
            (plain, file, Err("--otlp-ca: the endpoint http://c is without TLS; say https, or leave the file out")),
        ] {
            assert_eq!(plan(url, authority), built(expected), "{url:?} {authority:?}");
        }
    }
}
