//! How long a relay may be, if it is to be proved.
//!
//! A proof shows one leaf with all its bytes, and the leaf holds the whole request: the chain takes it only in a
//! transaction, and a transaction only up to a limit of its nodes. A claim whose proof does not fit is slashed, and which
//! leaf has to be shown is not known before.

/// Bytes of the longest transaction that a node takes unless it is told otherwise: `CometBFT`'s `mempool.max_tx_bytes`.
pub const TX_BYTES_MAX: usize = 1 << 20;

/// Bytes that the transaction of a proof takes beside the request of the relay it shows, at most: 256 side nodes of 48
/// bytes, headers, keys and signatures of proof, response and transaction.
pub const BYTES_BESIDE_REQUEST: usize = 16 << 10;

/// Returns how long a relay request may be whose relay can be proved in a transaction of `tx_bytes_max` bytes, counted as
/// the chain encodes it.
#[must_use]
pub const fn request_bytes_max(tx_bytes_max: usize) -> usize {
    tx_bytes_max.saturating_sub(BYTES_BESIDE_REQUEST)
}

#[cfg(test)]
mod tests {
    use pocket_crypto::keys::SecretKey;
    use pocket_crypto::ring::placeholder_secret_key;
    use pocket_crypto::smst;
    use pocket_proto::any;
    use pocket_proto::pocket::proof::MsgSubmitProof;
    use pocket_proto::pocket::service::{RelayRequest, RelayRequestMetadata, RelayResponse, RelayResponseMetadata};
    use pocket_proto::pocket::session::SessionHeader;

    use super::*;
    use crate::coin::Upokt;
    use crate::relay::{request_bytes, sign_response, stored_relay};
    use crate::session::SERVICE_ID_BYTES_MAX;
    use crate::tx::{MEMO_REFERENCE, Signer, unordered};

    /// The longest header there is, and the deepest proof.
    fn transaction(request: &RelayRequest, key: &SecretKey) -> Vec<u8> {
        let meta = request.meta.clone().unwrap_or_default();
        let mut response = RelayResponse {
            meta: Some(RelayResponseMetadata { session_header: meta.session_header.clone(), ..Default::default() }),
            payload: vec![0; 1_000].into(),
            ..Default::default()
        };
        sign_response(&mut response, key);
        let mut leaf_data = stored_relay(request, &response).bytes;
        leaf_data.extend_from_slice(&[0xff; 16]);
        let proof = smst::Proof {
            path: [0xff; 32],
            flipped_bits: Vec::new(),
            depth: 256,
            closest_path: vec![0xff; 32],
            leaf_data,
            side_nodes: vec![vec![0xff; 48]; 256],
            non_membership_leaf_data: None,
            sibling_data: None,
        };
        let message = MsgSubmitProof {
            supplier_operator_address: meta.supplier_operator_address,
            session_header: meta.session_header,
            proof: proof.compact().to_gob(),
        };
        let timeout =
            unordered::timeout(prost_types::Timestamp { seconds: i64::MAX / 2, nanos: 1 }, unordered::TTL_MAX);
        let signer = Signer { key, chain_id: "a-chain-with-quite-a-long-name-1", account_number: u64::MAX };
        signer.build_unordered(&[any(&message)], timeout, MEMO_REFERENCE, u64::MAX, Upokt(u128::MAX)).bytes
    }

    #[test]
    fn the_longest_request_fits_into_the_longest_transaction() {
        let key = placeholder_secret_key();
        let address = key.address().to_string();
        let mut request = RelayRequest {
            meta: Some(RelayRequestMetadata {
                session_header: Some(SessionHeader {
                    application_address: address.clone(),
                    service_id: "s".repeat(SERVICE_ID_BYTES_MAX),
                    session_id: "f".repeat(64),
                    session_start_block_height: i64::MAX - 1,
                    session_end_block_height: i64::MAX,
                }),
                signature: vec![0xff; 4 + 32 + 33 + 2 * 65].into(),
                supplier_operator_address: address,
            }),
            payload: vec![0xff; TX_BYTES_MAX / 2].into(),
        };
        let beside = request_bytes(&request).len() - request.payload.len();
        request.payload = vec![0xff; request_bytes_max(TX_BYTES_MAX) - beside].into();
        assert_eq!(request_bytes(&request).len(), request_bytes_max(TX_BYTES_MAX));
        let transaction = transaction(&request, &key).len();
        assert!(transaction <= TX_BYTES_MAX, "{} bytes too many", transaction - TX_BYTES_MAX);
        // Little is given away.
        assert!(transaction > TX_BYTES_MAX - BYTES_BESIDE_REQUEST / 4, "{} bytes are left", TX_BYTES_MAX - transaction);
    }
}
