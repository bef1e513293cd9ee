//! A relayer for all suppliers at once, that signs as they would, or lies.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use pocket_config::facts;
use pocket_crypto::keys::SecretKey;
use pocket_proto::canonical;
use pocket_proto::pocket::service::{RelayResponse, RelayResponseMetadata};
use pocket_protocol::{http as pokt_http, relay};
use pocket_runtime::http::{self, Body, Incoming, Request, Response, ServeOptions, StatusCode};
use pocket_runtime::net::TcpListener;
use pocket_runtime::shutdown::{self, Shutdown, ShutdownTrigger};
use pocket_runtime::task::{self, Task};

/// What the backend behind every supplier answers.
pub(crate) const BODY: &str = r#"{"id":1,"jsonrpc":"2.0","result":"0x1"}"#;

/// How a supplier answers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manner {
    /// As it should, with the backend's status.
    Honest(StatusCode),
    /// As it should, with this many headers, and some that concern its connection.
    Headers(usize),
    /// Unsigned, with this status.
    Refuse(u16),
    /// Never.
    Hang,
    /// Signed by somebody else.
    WrongKey,
    /// With another payload than the one that was signed.
    SwappedPayload,
    /// Signed for another session.
    OtherSession,
    /// Without a signature.
    Unsigned,
    /// With bytes that are no answer.
    Garbage,
}

/// What a supplier was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) supplier: String,
    pub(crate) rpc_type: String,
    pub(crate) url: String,
}

struct State {
    manners: Vec<Manner>,
    keys: BTreeMap<String, SecretKey>,
    asked: Mutex<Vec<Asked>>,
}

/// All suppliers, on one address.
pub(crate) struct Suppliers {
    pub(crate) addr: SocketAddr,
    state: Arc<State>,
    trigger: ShutdownTrigger,
    serving: Mutex<Option<Task<()>>>,
}

impl Suppliers {
    pub(crate) async fn start(manners: &[Manner], _shutdown: &Shutdown) -> Self {
        let keys = facts::development_keys().into_iter().filter(|key| key.name.starts_with("supplier"));
        let keys = keys.map(|key| SecretKey::from_hex(&key.private_key).expect("a key"));
        let keys = keys.map(|key| (key.address().to_string(), key)).collect();
        let state = Arc::new(State { manners: manners.to_vec(), keys, asked: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr();
        let (trigger, shutdown) = shutdown::channel(Duration::from_millis(50));
        let answering = state.clone();
        let serving = task::spawn("suppliers", async move {
            let options = ServeOptions {
                name: "suppliers",
                max_connections: 64,
                header_timeout: Duration::from_secs(5),
                idle_timeout: Duration::from_secs(5),
                write_timeout: Duration::from_secs(5),
                max_headers: 100,
                max_header_bytes: 16 << 10,
                h2c: false,
                max_streams: 1,
            };
            let service = move |request| {
                let state = answering.clone();
                async move { state.answer(request).await }
            };
            http::serve(listener, options, service, shutdown).await;
        });
        Self { addr, state, trigger, serving: Mutex::new(Some(serving)) }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().expect("no panic").clone()
    }

    /// Closes the listener.
    pub(crate) async fn leave(&self) {
        self.trigger.trigger();
        let serving = self.serving.lock().expect("no panic").take();
        if let Some(serving) = serving {
            let _ = serving.await;
        }
    }
}

impl Drop for Suppliers {
    fn drop(&mut self) {
        self.trigger.trigger();
    }
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let rpc_type =
            request.headers().get("rpc-type").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let body = http::read_body(request.into_body(), 1 << 20, Duration::from_secs(5)).await.expect("a request");
        let relayed = canonical::decode_request(&body).expect("a relay request");
        let meta = relayed.meta.clone().expect("meta");
        let supplier = meta.supplier_operator_address.clone();
        let url = pokt_http::decode_request(&relayed.payload).expect("an HTTP request").url;
        let turn = {
            let mut asked = self.asked.lock().expect("no panic");
            asked.push(Asked { supplier: supplier.clone(), rpc_type, url });
            asked.len() - 1
        };
        let manner = *self.manners.get(turn).or(self.manners.last()).expect("at least one manner");

        let status = match manner {
            Manner::Honest(status) => status,
            Manner::Hang => std::future::pending().await,
            Manner::Garbage => return Response::new(Body::full(Bytes::from_static(b"\xff\xff\xff"))),
            Manner::Refuse(status) => {
                let mut response = Response::new(Body::full(r#"{"error":"as the test says"}"#));
                *response.status_mut() = StatusCode::from_u16(status).expect("a status");
                return response;
            }
            _ => StatusCode::OK,
        };
        let mut headers = pokt_http::headers([("content-type", "application/json")]);
        if let Manner::Headers(count) = manner {
            let many = (0..count).map(|number| (format!("x-{number}"), "1"));
            let hops = ["connection", "keep-alive", "proxy-authenticate", "upgrade", "x-hop", "content-length"];
            headers = pokt_http::headers(many.chain(hops.map(|name| (name.to_owned(), "x-hop"))));
        }
        let payload =
            pokt_http::response_payload(&pokt_http::response(status.as_u16(), headers, BODY.as_bytes().to_vec()));
        let mut header = meta.session_header.expect("a session header");
        if matches!(manner, Manner::OtherSession) {
            header.session_id = "0".repeat(64);
        }
        let mut response = RelayResponse {
            meta: Some(RelayResponseMetadata { session_header: Some(header), ..RelayResponseMetadata::default() }),
            payload_hash: relay::payload_hash(&payload).to_vec().into(),
            payload: payload.into(),
            ..RelayResponse::default()
        };
        let signer = if matches!(manner, Manner::WrongKey) {
            self.keys.iter().find(|(address, _)| **address != supplier).map(|(_, key)| key)
        } else {
            self.keys.get(&supplier)
        };
        if !matches!(manner, Manner::Unsigned) {
            relay::sign_response(&mut response, signer.expect("a key"));
        }
        if matches!(manner, Manner::SwappedPayload) {
            let other = pokt_http::response(200, pokt_http::Headers::new(), b"something else".to_vec());
            response.payload = pokt_http::response_payload(&other).into();
        }
        Response::new(Body::full(canonical::encode_response(&response)))
    }
}
