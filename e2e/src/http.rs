//! Questions to programs that serve on loopback.

use std::time::Duration;

use anyhow::{Context, Result};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// Asks one server, and keeps the connection.
#[derive(Clone, Debug)]
pub struct HttpClient {
    address: String,
    client: Client<HttpConnector, Empty<&'static [u8]>>,
}

impl HttpClient {
    /// For a server at an address: host and port.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Where it asks: host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks for a path, with headers if need be. Whatever the status, that is an answer.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<Response<String>> {
        let mut request = Request::get(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Empty::new())
            .context("failed to make a request")?;
        let answer = async {
            let (head, body) = self.client.request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            let body = String::from_utf8_lossy(&body).into_owned();
            anyhow::Ok(Response::from_parts(head, body))
        };
        tokio::time::timeout(ANSWER_DEADLINE, answer)
            .await
            .with_context(|| format!("{path} was not answered in time"))?
            .with_context(|| format!("failed to get {path}"))
    }
}
