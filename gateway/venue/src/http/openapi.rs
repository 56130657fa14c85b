//! What the port answers, described: a router that takes no route without its description, and the document that comes of
//! it, in OpenAPI 3.1.
//!
//! What is for people is left out: the page, the console and what they ask for, and the WebSocket, which has a description of
//! its own.

use std::collections::BTreeMap;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

/// Where the document is.
pub(crate) const PATH: &str = "/openapi.json";

const DESCRIPTION: &str = "Health, metrics and the market of a venue for whoever may reach the port; everything below \
                           /admin/v1 for those who have an operator's key.\n\nDecimals are strings. A path that is not \
                           here is answered with 404, a method that a path does not have with 405 and the header allow: \
                           both with the same error as everything else.";

const SECURITY: &str = "A signed request. rialto-key names a key with an operator's role; rialto-time is the time in nanoseconds since 1970, \
     within five seconds of the venue's; rialto-request names a change, and is 0 or left out for what only reads; \
     rialto-signature is the Ed25519 signature, 128 hexadecimal digits, of seven lines, each ending in a line feed: \
     RIALTO-ADMIN-1, the method, path and query as they were sent, the key, the time, the name of the change or 0, and the \
     BLAKE3 hash of the body in hexadecimal. Nothing else is accepted, and which part does not hold is not said.";

/// The name of the security scheme.
const SIGNATURE: &str = "signature";

/// What one method of a path does.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    method: Method,
    tag: &'static str,
    summary: String,
    is_signed: bool,
    parameters: Vec<Value>,
    body: Option<Value>,
    responses: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Post,
}

impl Operation {
    /// Reads.
    pub(crate) fn get(tag: &'static str, summary: impl Into<String>) -> Self {
        let summary = summary.into();
        let method = Method::Get;
        Self { method, tag, summary, is_signed: false, parameters: vec![], body: None, responses: Map::new() }
            .error(405, "The path has not this method.")
    }

    /// Changes.
    pub(crate) fn post(tag: &'static str, summary: impl Into<String>, body: Value) -> Self {
        Self { method: Method::Post, body: Some(body), ..Self::get(tag, summary) }
    }

    /// Only for who signs.
    pub(crate) fn signed(self, headers: impl IntoIterator<Item = Value>) -> Self {
        let parameters = self.parameters.into_iter().chain(headers).collect();
        Self { is_signed: true, parameters, ..self }
    }

    /// Takes something in its path, query or headers.
    pub(crate) fn parameter(mut self, parameter: Value) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// Answers so, in JSON.
    pub(crate) fn answer(self, status: u16, description: &str, schema: Value) -> Self {
        self.content(status, description, "application/json", schema)
    }

    /// Answers so, in words.
    pub(crate) fn text(self, status: u16, description: &str, media_type: &str) -> Self {
        self.content(status, description, media_type, json!({ "type": "string" }))
    }

    /// Refuses so.
    pub(crate) fn error(self, status: u16, description: &str) -> Self {
        self.answer(status, description, reference("Error"))
    }

    fn content(mut self, status: u16, description: &str, media_type: &str, schema: Value) -> Self {
        let mut response = json!({ "description": description, "content": { media_type: { "schema": schema } } });
        if status == 405 {
            let allow = json!({ "description": "The methods that the path has.", "schema": { "type": "string" } });
            response["headers"] = json!({ "allow": allow });
        }
        self.responses.insert(status.to_string(), response);
        self
    }

    fn json(self, id: String) -> Value {
        let mut operation = json!({
            "operationId": id,
            "tags": [self.tag],
            "summary": self.summary,
            "parameters": self.parameters,
            "responses": self.responses,
        });
        if self.is_signed {
            operation["security"] = json!([{ SIGNATURE: [] }]);
        }
        if let Some(schema) = self.body {
            let content = json!({ "application/json": { "schema": schema } });
            operation["requestBody"] = json!({ "required": true, "content": content });
        }
        operation
    }
}

/// A schema by its name.
pub(crate) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A router whose every route is described.
#[derive(Debug)]
pub(crate) struct Described {
    router: Router,
    paths: BTreeMap<String, Value>,
    schemas: BTreeMap<String, Value>,
}

impl Default for Described {
    fn default() -> Self {
        let schemas = BTreeMap::from([("Error".to_owned(), error_schema())]);
        Self { router: Router::new(), paths: BTreeMap::new(), schemas }
    }
}

impl Described {
    /// A route, with what it does.
    pub(crate) fn route(mut self, path: &str, operation: Operation, handler: MethodRouter) -> Self {
        self.describe(path, operation);
        self.router = self.router.route(path, handler);
        self
    }

    fn describe(&mut self, path: &str, operation: Operation) {
        let name = path.trim_matches('/').replace(['/', '-', '.'], "_");
        let (method, verb) = match operation.method {
            Method::Get => ("get", "read"),
            Method::Post => ("post", "ask"),
        };
        self.paths.insert(path.to_owned(), json!({ method: operation.json(format!("{verb}_{name}")) }));
    }

    /// Makes a type's schema, and those that it needs, known; what refers to it.
    pub(crate) fn schema<T: ToSchema>(&mut self) -> Value {
        let name = T::name().into_owned();
        let mut needed = vec![(name.clone(), T::schema())];
        T::schemas(&mut needed);
        self.add_schemas(needed);
        reference(&name)
    }

    /// Makes schemas known.
    pub(crate) fn add_schemas(&mut self, schemas: Vec<(String, RefOr<Schema>)>) {
        for (name, schema) in schemas {
            self.add_schema(&name, serde_json::to_value(schema).expect("a schema is plain JSON"));
        }
    }

    /// Makes a schema known; what refers to it.
    pub(crate) fn add_schema(&mut self, name: &str, mut schema: Value) -> Value {
        bound(&mut schema);
        self.schemas.insert(name.to_owned(), schema);
        reference(name)
    }

    /// The router, with the document among its routes.
    pub(crate) fn finish(mut self) -> Router {
        let object = json!({ "type": "object", "required": ["openapi", "info", "paths"] });
        let operation = Operation::get("port", "This document.").answer(200, "OpenAPI 3.1.", object);
        self.describe(PATH, operation);
        let text: bytes::Bytes = self.document().to_string().into();
        let media_type = [(header::CONTENT_TYPE, "application/json")];
        self.router.route(PATH, get(move || async move { (media_type, text) }))
    }

    fn document(&self) -> Value {
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Rialto",
                "version": env!("CARGO_PKG_VERSION"),
                "description": DESCRIPTION,
                "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            },
            "paths": self.paths,
            "components": {
                "schemas": self.schemas,
                "securitySchemes": {
                    SIGNATURE: {
                        "type": "apiKey", "in": "header", "name": "rialto-signature", "description": SECURITY,
                    },
                },
            },
        })
    }
}

/// Whole numbers get the bounds of what they are read into, and the format's name as the registry of formats has it.
fn bound(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let unsigned = match fields.get("format").and_then(Value::as_str) {
                Some("u-int8") => Some(("uint8", u64::from(u8::MAX))),
                Some("u-int16") => Some(("uint16", u64::from(u16::MAX))),
                Some("u-int32") => Some(("uint32", u64::from(u32::MAX))),
                Some("u-int64") => Some(("uint64", u64::MAX)),
                _ => None,
            };
            if let Some((format, maximum)) = unsigned {
                fields.insert("format".to_owned(), json!(format));
                fields.entry("maximum").or_insert(json!(maximum));
                fields.entry("minimum").or_insert(json!(0));
            }
            fields.values_mut().for_each(bound);
        }
        Value::Array(values) => values.iter_mut().for_each(bound),
        _ => {}
    }
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "description": "Why a request was not followed: what kind of error, and either a text or the venue's reason.",
        "required": ["error"],
        "properties": {
            "error": { "type": "string", "description": "What kind of error." },
            "text": { "type": "string", "description": "What is wrong, for people." },
            "reason": { "type": "string", "description": "The venue's reason, by name." },
            "code": { "type": "integer", "description": "The venue's reason, by code." },
            "sequence": { "type": ["integer", "null"], "description": "The command that was refused; null: none was made." },
        },
    })
}

/// An error as all of the port's are.
pub(crate) fn error(status: StatusCode, error: &str, text: &str) -> Response {
    let body = json!({ "error": error, "text": text });
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

/// No such path.
pub(super) async fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "NotFound", "the port has no such path: /openapi.json has them all")
}

/// Not with this method. Which there are is in the header allow.
pub(super) async fn method_not_allowed() -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "the path has not this method")
}
