//! Frames of HTTP/2, as far as the proxy looks into them (RFC 9113, section 4.1 and 6).

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// Length, kind, flags and stream come before each payload.
pub(super) const HEADER_BYTES: usize = 9;

/// `PRI * HTTP/2.0` and so on, which a client says first.
pub(super) const PREFACE_BYTES: usize = 24;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const ACK: u8 = 0x1;

/// How much of earlier headers may be remembered for later ones.
const HEADER_TABLE_SIZE: u16 = 0x1;

/// Kinds of frames that the proxy tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Reset,
    Settings,
    Continuation,
    Other,
}

impl Kind {
    fn of(byte: u8) -> Self {
        match byte {
            0x0 => Self::Data,
            0x1 => Self::Headers,
            0x3 => Self::Reset,
            0x4 => Self::Settings,
            0x9 => Self::Continuation,
            _ => Self::Other,
        }
    }
}

/// A whole frame.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) stream: u32,
    flags: u8,
    /// All of it, as on the wire.
    pub(super) bytes: Bytes,
}

impl Frame {
    /// Takes the first whole frame; `None` while it is not whole.
    pub(super) fn take(bytes: &mut BytesMut) -> Option<Self> {
        let mut header = bytes.get(..HEADER_BYTES)?;
        let length = usize::try_from(header.get_uint(3)).expect("three bytes");
        let (kind, flags, stream) = (Kind::of(header.get_u8()), header.get_u8(), header.get_u32() & (u32::MAX >> 1));
        let whole = HEADER_BYTES + length;
        (bytes.len() >= whole).then(|| Self { kind, stream, flags, bytes: bytes.split_to(whole).freeze() })
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// Adds to a side's settings that headers to it are to be compressed without memory of earlier ones.
    pub(super) fn without_compression_state(self) -> Self {
        if self.kind != Kind::Settings || self.flags & ACK != 0 {
            return self;
        }
        let mut payload = BytesMut::from(self.payload());
        payload.put_u16(HEADER_TABLE_SIZE);
        payload.put_u32(0);
        Self { bytes: frame(0x4, self.flags, self.stream, &payload), ..self }
    }
}

/// `RST_STREAM`.
pub(super) fn reset(stream: u32, code: u32) -> Bytes {
    frame(0x3, 0, stream, &code.to_be_bytes())
}

/// `GOAWAY`: streams above `last` were not worked on.
pub(super) fn go_away(last: u32, code: u32) -> Bytes {
    frame(0x7, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}

/// `WINDOW_UPDATE` of the connection.
pub(super) fn window_update(bytes: usize) -> Bytes {
    let bytes = u32::try_from(bytes).expect("frames are shorter than 16 MiB");
    frame(0x8, 0, 0, &bytes.to_be_bytes())
}

/// A whole answer of gRPC in one `HEADERS` frame: a status and nothing else.
pub(super) fn status(stream: u32, code: u32, message: &str) -> Bytes {
    // Header 8 of the static table is `:status: 200`.
    let mut block = BytesMut::from(&[0x88][..]);
    for (name, value) in
        [("content-type", "application/grpc"), ("grpc-status", &code.to_string()), ("grpc-message", message)]
    {
        // Literal, not to be remembered, with a name of its own.
        block.put_u8(0);
        literal(&mut block, name);
        literal(&mut block, value);
    }
    frame(0x1, END_STREAM | END_HEADERS, stream, &block)
}

/// A string that is not Huffman-coded. Its length is an integer with a prefix of seven bits.
fn literal(block: &mut BytesMut, text: &str) {
    const PREFIX: usize = 0x7f;
    let length = text.len();
    if let Ok(short) = u8::try_from(length)
        && length < PREFIX
    {
        block.put_u8(short);
    } else {
        block.put_u8(0x7f);
        let mut rest = length - PREFIX;
        while rest >= 0x80 {
            block.put_u8(u8::try_from(rest & 0x7f).expect("seven bits") | 0x80);
            rest >>= 7;
        }
        block.put_u8(u8::try_from(rest).expect("less than eight bits"));
    }
    block.put_slice(text.as_bytes());
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER_BYTES + payload.len());
    bytes.put_uint(payload.len() as u64, 3);
    bytes.put_u8(kind);
    bytes.put_u8(flags);
    bytes.put_u32(stream);
    bytes.put_slice(payload);
    bytes.freeze()
}
