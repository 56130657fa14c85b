//! The pages: part of the program, as `npm run build` in `gateway/venue/console` makes them. They load nothing from
//! anywhere else.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;

use crate::http::page::HEADERS;

macro_rules! file {
    ($media_type:literal, $file:literal) => {
        get(|| async {
            let content = include_str!(concat!("../../assets/console/", $file));
            (HEADERS, [(CONTENT_TYPE, $media_type)], content).into_response()
        })
    };
}

pub(super) fn router() -> Router {
    Router::new()
        .route("/console", get(|| async { Redirect::permanent("/console/") }))
        .route("/console/", file!("text/html; charset=utf-8", "index.html"))
        .route("/console/assets/console.js", file!("text/javascript; charset=utf-8", "assets/console.js"))
        .route("/console/assets/console.css", file!("text/css; charset=utf-8", "assets/console.css"))
        .route("/console/assets/icon.svg", file!("image/svg+xml", "assets/icon.svg"))
        .route("/console/assets/LICENSES.txt", file!("text/plain; charset=utf-8", "assets/LICENSES.txt"))
}
