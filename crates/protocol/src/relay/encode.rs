//! Writing relays as the chain's encoder does (protocol §0.4): ascending fields, defaults omitted, `meta` always there.

use pocket_proto::pocket::service::{RelayMinerError, RelayRequest, RelayResponse};
use pocket_proto::pocket::session::SessionHeader;

/// A session header, borrowed.
#[derive(Clone, Copy)]
pub(super) struct Header<'a> {
    pub(super) application: &'a [u8],
    pub(super) service: &'a [u8],
    pub(super) session: &'a [u8],
    pub(super) start: i64,
    pub(super) end: i64,
}

/// A relay request, borrowed.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) header: Option<Header<'a>>,
    pub(super) signature: &'a [u8],
    pub(super) supplier: &'a [u8],
    pub(super) payload: &'a [u8],
}

/// A relay response, borrowed.
#[derive(Clone, Copy)]
pub(super) struct Response<'a> {
    pub(super) header: Option<Header<'a>>,
    pub(super) signature: &'a [u8],
    pub(super) payload: &'a [u8],
    pub(super) error: Option<&'a RelayMinerError>,
    pub(super) payload_hash: &'a [u8],
}

impl<'a> Header<'a> {
    fn of(header: &'a SessionHeader) -> Self {
        Self {
            application: header.application_address.as_bytes(),
            service: header.service_id.as_bytes(),
            session: header.session_id.as_bytes(),
            start: header.session_start_block_height,
            end: header.session_end_block_height,
        }
    }

    fn length(&self) -> usize {
        field_length(self.application)
            + field_length(self.service)
            + field_length(self.session)
            + number_length(self.start.cast_unsigned())
            + number_length(self.end.cast_unsigned())
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_field(out, 1, self.application);
        write_field(out, 2, self.service);
        write_field(out, 3, self.session);
        write_number(out, 4, self.start.cast_unsigned());
        write_number(out, 5, self.end.cast_unsigned());
    }
}

impl<'a> Request<'a> {
    pub(super) fn of(request: &'a RelayRequest) -> Self {
        let meta = request.meta.as_ref();
        Self {
            header: meta.and_then(|meta| meta.session_header.as_ref()).map(Header::of),
            signature: meta.map_or(&[], |meta| &meta.signature),
            supplier: meta.map_or(&[], |meta| meta.supplier_operator_address.as_bytes()),
            payload: &request.payload,
        }
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.length());
        self.write_head(&mut out);
        out.extend_from_slice(self.payload);
        out
    }

    /// Returns everything but the payload's own bytes, which come last.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.length() - self.payload.len());
        self.write_head(&mut out);
        out
    }

    fn meta_length(&self) -> usize {
        header_length(self.header) + field_length(self.signature) + field_length(self.supplier)
    }

    fn length(&self) -> usize {
        message_length(self.meta_length()) + field_length(self.payload)
    }

    fn write_head(&self, out: &mut Vec<u8>) {
        write_tag(out, 1, LENGTH_DELIMITED);
        write_length(out, self.meta_length());
        write_header(out, self.header);
        write_field(out, 2, self.signature);
        write_field(out, 3, self.supplier);
        if !self.payload.is_empty() {
            write_tag(out, 2, LENGTH_DELIMITED);
            write_length(out, self.payload.len());
        }
    }
}

impl<'a> Response<'a> {
    pub(super) fn of(response: &'a RelayResponse) -> Self {
        let meta = response.meta.as_ref();
        Self {
            header: meta.and_then(|meta| meta.session_header.as_ref()).map(Header::of),
            signature: meta.map_or(&[], |meta| &meta.supplier_operator_signature),
            payload: &response.payload,
            error: response.relay_miner_error.as_ref(),
            payload_hash: &response.payload_hash,
        }
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.length());
        self.write(&mut out);
        out
    }

    fn meta_length(&self) -> usize {
        header_length(self.header) + field_length(self.signature)
    }

    fn length(&self) -> usize {
        message_length(self.meta_length())
            + field_length(self.payload)
            + self.error.map_or(0, |error| message_length(error_length(error)))
            + field_length(self.payload_hash)
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_tag(out, 1, LENGTH_DELIMITED);
        write_length(out, self.meta_length());
        write_header(out, self.header);
        write_field(out, 2, self.signature);
        write_field(out, 2, self.payload);
        if let Some(error) = self.error {
            write_tag(out, 3, LENGTH_DELIMITED);
            write_length(out, error_length(error));
            write_field(out, 1, error.codespace.as_bytes());
            write_number(out, 2, u64::from(error.code));
            write_field(out, 3, error.description.as_bytes());
            write_field(out, 4, error.message.as_bytes());
        }
        write_field(out, 4, self.payload_hash);
    }
}

/// Writes `Relay{req, res}`.
pub(super) fn relay(request: &Request<'_>, response: &Response<'_>) -> Vec<u8> {
    let (request_length, response_length) = (request.length(), response.length());
    let mut out = Vec::with_capacity(message_length(request_length) + message_length(response_length));
    write_tag(&mut out, 1, LENGTH_DELIMITED);
    write_length(&mut out, request_length);
    request.write_head(&mut out);
    out.extend_from_slice(request.payload);
    write_tag(&mut out, 2, LENGTH_DELIMITED);
    write_length(&mut out, response_length);
    response.write(&mut out);
    out
}

const VARINT: u8 = 0;
const LENGTH_DELIMITED: u8 = 2;

fn header_length(header: Option<Header<'_>>) -> usize {
    header.map_or(0, |header| message_length(header.length()))
}

fn write_header(out: &mut Vec<u8>, header: Option<Header<'_>>) {
    if let Some(header) = header {
        write_tag(out, 1, LENGTH_DELIMITED);
        write_length(out, header.length());
        header.write(out);
    }
}

fn error_length(error: &RelayMinerError) -> usize {
    field_length(error.codespace.as_bytes())
        + number_length(u64::from(error.code))
        + field_length(error.description.as_bytes())
        + field_length(error.message.as_bytes())
}

/// All field numbers here are below 16, so tag and field take one byte.
fn write_tag(out: &mut Vec<u8>, number: u8, wire_type: u8) {
    out.push(number << 3 | wire_type);
}

fn write_field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        write_tag(out, number, LENGTH_DELIMITED);
        write_length(out, bytes.len());
        out.extend_from_slice(bytes);
    }
}

fn write_number(out: &mut Vec<u8>, number: u8, value: u64) {
    if value != 0 {
        write_tag(out, number, VARINT);
        prost::encoding::encode_varint(value, out);
    }
}

fn write_length(out: &mut Vec<u8>, length: usize) {
    prost::encoding::encode_varint(length as u64, out);
}

fn field_length(bytes: &[u8]) -> usize {
    if bytes.is_empty() { 0 } else { message_length(bytes.len()) }
}

fn message_length(length: usize) -> usize {
    1 + prost::encoding::encoded_len_varint(length as u64) + length
}

fn number_length(value: u64) -> usize {
    if value == 0 { 0 } else { 1 + prost::encoding::encoded_len_varint(value) }
}
