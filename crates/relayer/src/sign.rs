//! Sign: the answer in the form gateways verify, with one signature for the client and the trie.

use bytes::Bytes;
use pocket_proto::pocket::service::{RelayResponse, RelayResponseMetadata};
use pocket_protocol::http;
use pocket_protocol::relay::{response_bytes, sign_response, stored_relay};

use crate::relay::{Answer, Pipeline, Served, Signed};

impl Pipeline {
    /// Wraps the backend's answer and signs it for the supplier.
    ///
    /// The chain takes any payload hash the supplier signed (protocol §2.4), so the relay that is recorded is the very
    /// answer that is delivered: the supplier signs once, and has evidence of what it said.
    pub(crate) async fn sign(&self, served: Served) -> Signed {
        let Served { admitted, kept, answer } = served;
        let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), text(value.as_bytes())));
        let body = Vec::from(answer.body);
        let payload = http::response_payload(&http::response(answer.status, http::headers(headers), body));
        let header = admitted.request.meta.as_ref().and_then(|meta| meta.session_header.clone());
        let mut response = RelayResponse {
            meta: Some(RelayResponseMetadata { session_header: header, ..RelayResponseMetadata::default() }),
            payload: Bytes::from(payload),
            ..RelayResponse::default()
        };
        {
            let _place = self.crypto.acquire().await.expect("the places are never closed");
            sign_response(&mut response, &admitted.seat.key);
        }
        Signed {
            relay: stored_relay(&admitted.request, &response),
            answer: Answer {
                bytes: response_bytes(&response).into(),
                backend_status: answer.status,
                retries: answer.retries,
            },
            counters: admitted.counters,
            session: admitted.session,
            seat: admitted.seat,
            height: admitted.height,
            kept,
            at: admitted.at,
            room: admitted.room,
        }
    }
}

/// Header values are bytes, protobuf strings are UTF-8: what is not comes as replacement characters.
fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}
