//! Reading relays as the chain's decoder does (protocol §0.4).
//!
//! prost refuses what gogoproto takes: overlong varints whose high bits are lost, and strings that are not UTF-8. The
//! first matter because a verifier must accept what the chain accepts; the second name no account and no service, so
//! they are readable here only in the raw form.

use bytes::Bytes;
use pocket_crypto::hash::sha256;
use pocket_proto::pocket::service::{
    Relay, RelayMinerError, RelayRequest, RelayRequestMetadata, RelayResponse, RelayResponseMetadata,
};
use pocket_proto::pocket::session::SessionHeader;

use super::encode;

/// Why bytes are no relay. The texts are the chain's, except the one about UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end within a field.
    #[error("unexpected EOF")]
    UnexpectedEof,
    /// A varint has more than ten bytes.
    #[error("proto: integer overflow")]
    IntegerOverflow,
    /// A length has its sign bit set.
    #[error("proto: negative length found during unmarshaling")]
    NegativeLength,
    /// A field number is zero or negative.
    #[error("proto: {message}: illegal tag {number} (wire type {wire_type})")]
    IllegalTag {
        /// The message read.
        message: &'static str,
        /// The field number.
        number: i32,
        /// Low three bits of the tag.
        wire_type: u8,
    },
    /// A group ends that never began.
    #[error("proto: {message}: wiretype end group for non-group")]
    StrayEndGroup {
        /// The message read.
        message: &'static str,
    },
    /// A known field is written as another type.
    #[error("proto: wrong wireType = {wire_type} for field {field}")]
    WrongWireType {
        /// Low three bits of the tag.
        wire_type: u8,
        /// The field, as the chain's code calls it.
        field: &'static str,
    },
    /// An unknown field is of a type that does not exist.
    #[error("proto: illegal wireType {wire_type}")]
    IllegalWireType {
        /// Low three bits of the tag.
        wire_type: u8,
    },
    /// Within an unknown group, another group ends that never began.
    #[error("proto: unexpected end of group")]
    UnexpectedEndOfGroup,
    /// A text is not UTF-8. The chain reads it; nothing on the chain can be named by it.
    #[error("field {field} is not valid UTF-8")]
    InvalidUtf8 {
        /// The field, as the chain's code calls it.
        field: &'static str,
    },
}

/// Reads a request. Payload and signature share the input's memory.
///
/// # Errors
/// A [`DecodeError`] where the chain refuses, and for texts that are not UTF-8.
pub fn decode_request(bytes: &Bytes) -> Result<RelayRequest, DecodeError> {
    RawRequest::decode(bytes)?.into_request()
}

/// Reads a response. Payload, hash and signature share the input's memory.
///
/// # Errors
/// As [`decode_request`].
pub fn decode_response(bytes: &Bytes) -> Result<RelayResponse, DecodeError> {
    let mut response = RelayResponse { meta: Some(RelayResponseMetadata::default()), ..RelayResponse::default() };
    read_response(&mut response, bytes)?;
    Ok(response)
}

/// Reads a whole relay, such as a leaf that a proof shows.
///
/// # Errors
/// As [`decode_request`].
pub fn decode_relay(bytes: &Bytes) -> Result<Relay, DecodeError> {
    let mut relay = Relay::default();
    let mut request: Option<RawRequest> = None;
    let mut fields = Fields::new("Relay", bytes);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => request.get_or_insert_default().merge(&fields.bytes(field, "Req")?)?,
            2 => read_response(relay.res.get_or_insert_with(empty_response), &fields.bytes(field, "Res")?)?,
            _ => fields.skip(field)?,
        }
    }
    relay.req = request.map(RawRequest::into_request).transpose()?;
    Ok(relay)
}

/// A request whose texts are any bytes: what the chain's decoder makes of its input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawRequest {
    header: Option<RawHeader>,
    signature: Bytes,
    supplier: Bytes,
    payload: Bytes,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct RawHeader {
    application: Bytes,
    service: Bytes,
    session: Bytes,
    start: i64,
    end: i64,
}

impl RawRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// A [`DecodeError`] exactly where the chain refuses.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut request = Self::default();
        request.merge(bytes)?;
        Ok(request)
    }

    /// Returns the bytes that the chain makes of the request again: unknown fields gone, everything in order.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.borrowed().to_bytes()
    }

    /// Returns what its ring signature has to vouch for.
    #[must_use]
    pub fn signable_hash(&self) -> [u8; 32] {
        sha256(&encode::Request { signature: &[], ..self.borrowed() }.to_bytes())
    }

    /// Returns the request with its texts as texts.
    ///
    /// # Errors
    /// [`DecodeError::InvalidUtf8`].
    pub fn into_request(self) -> Result<RelayRequest, DecodeError> {
        let session_header = self.header.map(RawHeader::into_header).transpose()?;
        let supplier_operator_address = text(&self.supplier, "SupplierOperatorAddress")?;
        Ok(RelayRequest {
            meta: Some(RelayRequestMetadata { session_header, signature: self.signature, supplier_operator_address }),
            payload: self.payload,
        })
    }

    fn borrowed(&self) -> encode::Request<'_> {
        encode::Request {
            header: self.header.as_ref().map(|header| encode::Header {
                application: &header.application,
                service: &header.service,
                session: &header.session,
                start: header.start,
                end: header.end,
            }),
            signature: &self.signature,
            supplier: &self.supplier,
            payload: &self.payload,
        }
    }

    fn merge(&mut self, bytes: &Bytes) -> Result<(), DecodeError> {
        let mut fields = Fields::new("RelayRequest", bytes);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => self.merge_meta(&fields.bytes(field, "Meta")?)?,
                2 => self.payload = fields.bytes(field, "Payload")?,
                _ => fields.skip(field)?,
            }
        }
        Ok(())
    }

    fn merge_meta(&mut self, bytes: &Bytes) -> Result<(), DecodeError> {
        let mut fields = Fields::new("RelayRequestMetadata", bytes);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => self.header.get_or_insert_default().merge(&fields.bytes(field, "SessionHeader")?)?,
                2 => self.signature = fields.bytes(field, "Signature")?,
                3 => self.supplier = fields.bytes(field, "SupplierOperatorAddress")?,
                _ => fields.skip(field)?,
            }
        }
        Ok(())
    }
}

impl RawHeader {
    fn merge(&mut self, bytes: &Bytes) -> Result<(), DecodeError> {
        let mut fields = Fields::new("SessionHeader", bytes);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => self.application = fields.bytes(field, "ApplicationAddress")?,
                2 => self.service = fields.bytes(field, "ServiceId")?,
                3 => self.session = fields.bytes(field, "SessionId")?,
                4 => self.start = fields.number(field, "SessionStartBlockHeight")?.cast_signed(),
                5 => self.end = fields.number(field, "SessionEndBlockHeight")?.cast_signed(),
                _ => fields.skip(field)?,
            }
        }
        Ok(())
    }

    fn into_header(self) -> Result<SessionHeader, DecodeError> {
        Ok(SessionHeader {
            application_address: text(&self.application, "ApplicationAddress")?,
            service_id: text(&self.service, "ServiceId")?,
            session_id: text(&self.session, "SessionId")?,
            session_start_block_height: self.start,
            session_end_block_height: self.end,
        })
    }

    fn of(header: &SessionHeader) -> Self {
        Self {
            application: Bytes::copy_from_slice(header.application_address.as_bytes()),
            service: Bytes::copy_from_slice(header.service_id.as_bytes()),
            session: Bytes::copy_from_slice(header.session_id.as_bytes()),
            start: header.session_start_block_height,
            end: header.session_end_block_height,
        }
    }
}

fn empty_response() -> RelayResponse {
    RelayResponse { meta: Some(RelayResponseMetadata::default()), ..RelayResponse::default() }
}

fn read_response(response: &mut RelayResponse, bytes: &Bytes) -> Result<(), DecodeError> {
    let mut fields = Fields::new("RelayResponse", bytes);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => read_response_meta(response.meta.get_or_insert_default(), &fields.bytes(field, "Meta")?)?,
            2 => response.payload = fields.bytes(field, "Payload")?,
            3 => read_error(
                response.relay_miner_error.get_or_insert_default(),
                &fields.bytes(field, "RelayMinerError")?,
            )?,
            4 => response.payload_hash = fields.bytes(field, "PayloadHash")?,
            _ => fields.skip(field)?,
        }
    }
    Ok(())
}

fn read_response_meta(meta: &mut RelayResponseMetadata, bytes: &Bytes) -> Result<(), DecodeError> {
    let mut fields = Fields::new("RelayResponseMetadata", bytes);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => {
                // Written more than once, headers are merged field by field.
                let mut header = meta.session_header.as_ref().map(RawHeader::of).unwrap_or_default();
                header.merge(&fields.bytes(field, "SessionHeader")?)?;
                meta.session_header = Some(header.into_header()?);
            }
            2 => meta.supplier_operator_signature = fields.bytes(field, "SupplierOperatorSignature")?,
            _ => fields.skip(field)?,
        }
    }
    Ok(())
}

fn read_error(error: &mut RelayMinerError, bytes: &Bytes) -> Result<(), DecodeError> {
    let mut fields = Fields::new("RelayMinerError", bytes);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => error.codespace = text(&fields.bytes(field, "Codespace")?, "Codespace")?,
            // A uint32 keeps the low bits of whatever was written.
            2 => error.code = (fields.number(field, "Code")? & u64::from(u32::MAX)) as u32,
            3 => error.description = text(&fields.bytes(field, "Description")?, "Description")?,
            4 => error.message = text(&fields.bytes(field, "Message")?, "Message")?,
            _ => fields.skip(field)?,
        }
    }
    Ok(())
}

fn text(bytes: &Bytes, field: &'static str) -> Result<String, DecodeError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| DecodeError::InvalidUtf8 { field })
}

/// One field's tag.
#[derive(Clone, Copy)]
struct Field {
    number: i32,
    wire_type: u8,
    /// Where the tag begins.
    start: usize,
}

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH_DELIMITED: u8 = 2;
const START_GROUP: u8 = 3;
const END_GROUP: u8 = 4;
const FIXED32: u8 = 5;

/// Walks the fields of one message.
struct Fields<'a> {
    message: &'static str,
    bytes: &'a Bytes,
    at: usize,
}

impl<'a> Fields<'a> {
    fn new(message: &'static str, bytes: &'a Bytes) -> Self {
        Self { message, bytes, at: 0 }
    }

    fn next(&mut self) -> Result<Option<Field>, DecodeError> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let start = self.at;
        let tag = self.varint()?;
        // The chain casts the number to 32 bits, so large ones wrap around.
        let number = ((tag >> 3) & u64::from(u32::MAX)) as u32;
        let (number, wire_type) = (number.cast_signed(), (tag & 7) as u8);
        if wire_type == END_GROUP {
            return Err(DecodeError::StrayEndGroup { message: self.message });
        }
        if number <= 0 {
            return Err(DecodeError::IllegalTag { message: self.message, number, wire_type });
        }
        Ok(Some(Field { number, wire_type, start }))
    }

    fn bytes(&mut self, field: Field, name: &'static str) -> Result<Bytes, DecodeError> {
        if field.wire_type != LENGTH_DELIMITED {
            return Err(DecodeError::WrongWireType { wire_type: field.wire_type, field: name });
        }
        let length = self.length()?;
        let end = self.at.checked_add(length).ok_or(DecodeError::NegativeLength)?;
        if end > self.bytes.len() {
            return Err(DecodeError::UnexpectedEof);
        }
        let value = self.bytes.slice(self.at..end);
        self.at = end;
        Ok(value)
    }

    fn number(&mut self, field: Field, name: &'static str) -> Result<u64, DecodeError> {
        if field.wire_type != VARINT {
            return Err(DecodeError::WrongWireType { wire_type: field.wire_type, field: name });
        }
        self.varint()
    }

    /// Passes an unknown field, with all its groups.
    fn skip(&mut self, field: Field) -> Result<(), DecodeError> {
        self.at = field.start;
        let mut depth = 0_usize;
        loop {
            let wire_type = (self.varint()? & 7) as u8;
            match wire_type {
                VARINT => {
                    self.varint()?;
                }
                FIXED64 => self.advance(8)?,
                LENGTH_DELIMITED => {
                    let length = self.length()?;
                    self.advance(length)?;
                }
                START_GROUP => depth += 1,
                END_GROUP => depth = depth.checked_sub(1).ok_or(DecodeError::UnexpectedEndOfGroup)?,
                FIXED32 => self.advance(4)?,
                other => return Err(DecodeError::IllegalWireType { wire_type: other }),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn advance(&mut self, by: usize) -> Result<(), DecodeError> {
        self.at = self.at.checked_add(by).ok_or(DecodeError::NegativeLength)?;
        if self.at > self.bytes.len() { Err(DecodeError::UnexpectedEof) } else { Ok(()) }
    }

    fn length(&mut self) -> Result<usize, DecodeError> {
        let length = i64::try_from(self.varint()?).map_err(|_| DecodeError::NegativeLength)?;
        usize::try_from(length).map_err(|_| DecodeError::NegativeLength)
    }

    /// Reads up to ten bytes; bits beyond the 64th are lost, as in the chain's decoder.
    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(DecodeError::UnexpectedEof)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::IntegerOverflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_comes_back_as_it_was_written() {
        let request = RelayRequest {
            meta: Some(RelayRequestMetadata {
                session_header: Some(SessionHeader { service_id: "svc1".to_owned(), ..SessionHeader::default() }),
                signature: Bytes::from_static(b"ring"),
                supplier_operator_address: "pokt1".to_owned(),
            }),
            payload: Bytes::from_static(b"question"),
        };
        let response = RelayResponse {
            meta: Some(RelayResponseMetadata {
                session_header: Some(SessionHeader { session_end_block_height: -1, ..SessionHeader::default() }),
                supplier_operator_signature: Bytes::from_static(b"signature"),
            }),
            payload: Bytes::from_static(b"answer"),
            payload_hash: Bytes::from_static(b"hash"),
            relay_miner_error: Some(RelayMinerError { code: 500, ..RelayMinerError::default() }),
        };
        let bytes = Bytes::from(super::super::full_relay_bytes(&request, &response));
        let relay = decode_relay(&bytes).expect("our own bytes");
        assert_eq!((relay.req.as_ref(), relay.res.as_ref()), (Some(&request), Some(&response)));

        let response_bytes = Bytes::from(super::super::response_bytes(&response));
        assert_eq!(decode_response(&response_bytes).as_ref(), Ok(&response));
    }

    #[test]
    fn no_prefix_or_damage_of_a_relay_panics() {
        let request = RelayRequest { meta: None, payload: Bytes::from_static(b"question") };
        let whole = super::super::full_relay_bytes(&request, &RelayResponse::default());
        for length in 0..whole.len() {
            for flip in 0..8 {
                let mut damaged = whole[..length].to_vec();
                if let Some(last) = damaged.last_mut() {
                    *last ^= 1 << flip;
                }
                let _ = decode_relay(&Bytes::from(damaged));
            }
        }
    }
}
