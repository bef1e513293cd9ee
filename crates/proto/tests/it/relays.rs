//! The quick decoder against the one that follows the chain's step by step.

use bytes::Bytes;
use pocket_proto::{
    canonical,
    pocket::{
        service::{Relay, RelayMinerError, RelayRequest, RelayRequestMetadata, RelayResponse, RelayResponseMetadata},
        session::SessionHeader,
    },
};
use prost::Message as _;

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const CASES: usize = 100_000;

fn relay() -> Relay {
    let header = SessionHeader {
        application_address: "pokt1app".into(),
        service_id: "anvil".into(),
        session_id: "ab".repeat(4),
        session_start_block_height: 1,
        session_end_block_height: 10,
    };
    Relay {
        req: Some(RelayRequest {
            meta: Some(RelayRequestMetadata {
                session_header: Some(header.clone()),
                signature: Bytes::from_static(&[1, 2, 3]),
                supplier_operator_address: "pokt1supplier".into(),
            }),
            payload: Bytes::from_static(b"payload"),
        }),
        res: Some(RelayResponse {
            meta: Some(RelayResponseMetadata {
                session_header: Some(header),
                supplier_operator_signature: Bytes::from_static(&[4, 5]),
            }),
            payload: Bytes::new(),
            payload_hash: Bytes::from_static(&[6; 8]),
            relay_miner_error: Some(RelayMinerError { code: 500, message: "down".into(), ..Default::default() }),
        }),
    }
}

#[test]
fn what_the_quick_decoder_accepts_the_chain_accepts_with_the_same_meaning() {
    println!("seed {SEED:#x}");
    let mut state = SEED;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let valid = canonical::encode_relay(&relay());
    let (mut accepted, mut mended, mut refused) = (0, 0, 0);
    for _ in 0..CASES {
        let mut bytes = valid.clone();
        for _ in 0..=next(3) {
            let at = next(bytes.len());
            match next(4) {
                0 => bytes[at] = next(256).to_le_bytes()[0],
                1 => bytes[at] ^= 1 << next(8),
                2 => bytes.insert(at, next(256).to_le_bytes()[0]),
                _ => drop(bytes.remove(at)),
            }
        }
        let quick = Relay::decode(&*bytes);
        let chain = canonical::remarshal_relay(&bytes);
        let ours = canonical::decode_relay(&Bytes::from(bytes.clone()));
        assert_eq!(ours.is_ok(), chain.is_ok(), "{}", hex::encode(&bytes));
        if let Ok(quick) = quick {
            let again = canonical::encode_relay(&quick);
            assert_eq!(chain.as_ref(), Ok(&again), "{}", hex::encode(&bytes));
            accepted += 1;
        } else if ours.is_ok() {
            mended += 1;
        } else {
            refused += 1;
        }
    }
    println!("{accepted} accepted at once, {mended} at second look, {refused} refused");
    assert!(accepted > 0 && mended > 0 && refused > 0);
}
