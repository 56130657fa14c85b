//! The market as a page: what `/ws` tells, drawn. It is part of the program, and loads nothing from anywhere else.

use axum::Router;
use axum::http::HeaderName;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::response::IntoResponse;
use axum::routing::get;

/// A file of the page.
struct File {
    path: &'static str,
    media_type: &'static str,
    content: &'static str,
}

macro_rules! files {
    ($($path:literal, $media_type:literal, $file:literal;)*) => {
        &[$(File {
            path: $path,
            media_type: $media_type,
            content: include_str!(concat!("../../assets/", $file)),
        },)*]
    };
}

const FILES: &[File] = files! {
    "/", "text/html; charset=utf-8", "index.html";
    "/assets/market.js", "text/javascript; charset=utf-8", "market.js";
    "/assets/market.css", "text/css; charset=utf-8", "market.css";
    "/assets/icon.svg", "image/svg+xml", "icon.svg";
    "/assets/uplot/uPlot.iife.min.js", "text/javascript; charset=utf-8", "uplot/uPlot.iife.min.js";
    "/assets/uplot/uPlot.min.css", "text/css; charset=utf-8", "uplot/uPlot.min.css";
    "/assets/uplot/LICENSE", "text/plain; charset=utf-8", "uplot/LICENSE";
};

/// Nothing but what is here is loaded, nobody frames it, and nothing in it is sent anywhere else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What every page of the venue is sent with.
pub(crate) const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    // A newer venue has a newer page.
    (CACHE_CONTROL, "no-cache"),
];

/// The page and its files.
pub(super) fn router() -> Router {
    FILES
        .iter()
        .fold(Router::new(), |router, file| router.route(file.path, get(move || async move { file.response() })))
}

impl File {
    fn response(&'static self) -> impl IntoResponse {
        (HEADERS, [(CONTENT_TYPE, self.media_type)], self.content)
    }
}
