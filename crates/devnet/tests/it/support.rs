//! A chain with the well-known accounts at hand.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::Arc,
};

use pocket_config::facts::{Facts, development_keys};
use pocket_crypto::{address::Address, keys::SecretKey, ring, smst};
use pocket_devnet::{
    Block, Chain, Settings,
    clock::{Clock, Pace},
    engine::{Engine, Options},
    genesis,
    mempool::Limits,
};
use pocket_proto::{
    cosmos::{bank::v1beta1::MsgSend, base::v1beta1::Coin},
    pocket::{
        proof::{MsgCreateClaim, MsgSubmitProof},
        service::{RelayRequest, RelayRequestMetadata, RelayResponse, RelayResponseMetadata},
        session::{QueryGetSessionRequest, Session},
    },
    tendermint::abci::{Event, ExecTxResult},
};
use pocket_protocol::{
    Upokt, relay, session,
    tx::{Order, Signer, TxOptions},
};
use prost_types::{Any, Timestamp};

pub(crate) const SERVICE: &str = "develop-http";
pub(crate) const GAS: u64 = 5_000_000;

pub(crate) struct Net {
    pub(crate) chain: Chain,
    keys: BTreeMap<String, SecretKey>,
    timeouts: i32,
}

pub(crate) fn facts() -> Facts {
    Facts::localnet("seed").unwrap()
}

pub(crate) fn options() -> Options {
    Options {
        seed: 1,
        minimum_gas_price: 0,
        mempool: Limits { txs: 5_000, tx_bytes: 1 << 20 },
        states_kept: 100,
        blocks_kept: 100,
        snapshots_max: 4,
    }
}

/// Returns the settings of a chain in `folder`, blocks on demand.
pub(crate) fn settings(folder: &Path, more: &str) -> Settings {
    let text = format!("{{\"blocks\": \"manual\", \"data_dir\": {:?} {more}}}", folder.display().to_string());
    pocket_config::document::load::<Settings>(&text).unwrap().settings
}

pub(crate) fn amount(coins: u128) -> Coin {
    Coin { denom: "upokt".to_owned(), amount: coins.to_string() }
}

impl Net {
    pub(crate) fn new() -> Self {
        Self::with(&facts(), options())
    }

    pub(crate) fn with(facts: &Facts, options: Options) -> Self {
        let state = genesis::state(facts, options.seed).unwrap();
        let clock = Clock::new(Pace::Manual, 1_000, state.time);
        Self::over(Chain::new(Engine::new(options, clock, state, VecDeque::new())))
    }

    pub(crate) fn over(chain: Chain) -> Self {
        let keys = development_keys();
        let keys = keys.into_iter().map(|key| (key.name, SecretKey::from_hex(&key.private_key).unwrap())).collect();
        Self { chain, keys, timeouts: 0 }
    }

    pub(crate) fn key(&self, name: &str) -> &SecretKey {
        &self.keys[name]
    }

    pub(crate) fn address(&self, name: &str) -> Address {
        self.keys[name].address()
    }

    pub(crate) fn balance(&self, name: &str) -> u128 {
        self.chain.state().balance(self.address(name).as_str())
    }

    pub(crate) fn make_until(&self, height: i64) {
        while self.chain.height() < height {
            self.chain.produce_block().unwrap();
        }
    }

    /// Signs as `name`, unordered, with a timeout that no other transaction here has.
    pub(crate) fn sign(&mut self, name: &str, messages: &[Any], fee: u128) -> Vec<u8> {
        self.timeouts += 1;
        let now = self.chain.state().time;
        let timeout = Timestamp { seconds: now.seconds + 60, nanos: self.timeouts };
        self.sign_with(name, messages, Order::Unordered { timeout }, GAS, fee)
    }

    pub(crate) fn sign_with(&self, name: &str, messages: &[Any], order: Order, gas_limit: u64, fee: u128) -> Vec<u8> {
        let state = self.chain.state();
        let account_number = state.accounts.get(&self.address(name)).unwrap().number;
        let signer = Signer { key: self.key(name), chain_id: "pocket", account_number };
        signer.build(messages, &TxOptions { order, memo: "", gas_limit, fee: Upokt(fee) }).bytes
    }

    /// Sends a message and makes the block that holds it.
    pub(crate) fn deliver(&mut self, name: &str, message: Any) -> ExecTxResult {
        let tx = self.sign(name, &[message], 0);
        self.deliver_bytes(&tx)
    }

    pub(crate) fn deliver_bytes(&self, tx: &[u8]) -> ExecTxResult {
        let checked = self.chain.submit(tx).unwrap();
        assert_eq!(checked.code, 0, "{}", checked.log);
        self.chain.produce_block().unwrap();
        self.chain.tx(&checked.hash).unwrap().result().clone()
    }

    pub(crate) fn send(&self, from: &str, to: &str, coins: u128) -> Any {
        pocket_proto::any(&MsgSend {
            from_address: self.address(from).to_string(),
            to_address: self.address(to).to_string(),
            amount: vec![amount(coins)],
        })
    }

    /// Returns the session of app1 at `height`.
    pub(crate) fn session(&self, height: i64) -> Session {
        let request = QueryGetSessionRequest {
            application_address: self.address("app1").to_string(),
            service_id: SERVICE.to_owned(),
            block_height: height,
        };
        session::get_session(&self.chain.state(), &request).unwrap()
    }

    /// Serves relays of app1's session as `supplier`, signed by the gateway.
    pub(crate) fn work(&self, session: &Session, supplier: &str, relays: usize) -> Work {
        let mut trie = smst::Trie::with_capacity(relays);
        let mut values = BTreeMap::new();
        for number in 0..relays {
            let mut request = RelayRequest {
                meta: Some(RelayRequestMetadata {
                    session_header: session.header.clone(),
                    signature: bytes::Bytes::new(),
                    supplier_operator_address: self.address(supplier).to_string(),
                }),
                payload: format!("request {number}").into_bytes().into(),
            };
            let hash = relay::request_signable_hash(&request);
            let ring = [self.key("app1").public_key(), self.key("gateway1").public_key()];
            let signature =
                ring::sign(&hash, &ring, self.key("gateway1"), &mut pocket_runtime::random::Random).unwrap();
            request.meta.as_mut().unwrap().signature = signature.encode().into();
            let mut response = RelayResponse {
                meta: Some(RelayResponseMetadata {
                    session_header: session.header.clone(),
                    ..RelayResponseMetadata::default()
                }),
                payload: b"answer".as_slice().into(),
                ..RelayResponse::default()
            };
            relay::sign_response(&mut response, self.key(supplier));
            let stored = relay::stored_relay(&request, &response);
            trie.insert(&stored.hash, &stored.bytes, 1_000);
            values.insert(stored.path(), stored.bytes);
        }
        Work { supplier: supplier.to_owned(), session: session.clone(), trie, values }
    }

    pub(crate) fn claim(&self, work: &mut Work) -> Any {
        pocket_proto::any(&MsgCreateClaim {
            supplier_operator_address: self.address(&work.supplier).to_string(),
            session_header: work.session.header.clone(),
            root_hash: work.trie.root().as_ref().to_vec(),
        })
    }

    /// Proves the leaf closest to what the seed block asks for, or to that with its last bit flipped.
    pub(crate) fn proof(&self, work: &mut Work, flip: bool) -> Any {
        let state = self.chain.state();
        let header = work.session.header.clone().unwrap();
        let end = header.session_end_block_height;
        let seed = state.shared_at(end).windows_at(end).seed_height();
        let mut path = smst::proof_path(&state.block_hash(seed).unwrap(), &header.session_id);
        path[31] ^= u8::from(flip);
        let values = &work.values;
        let value_of = |path: &smst::Path| Ok::<_, std::convert::Infallible>(values[path].clone());
        let proof = work.trie.prove(path, value_of, smst::SiblingData::Include).unwrap();
        pocket_proto::any(&MsgSubmitProof {
            supplier_operator_address: self.address(&work.supplier).to_string(),
            session_header: work.session.header.clone(),
            proof: proof.compact().to_gob(),
        })
    }
}

pub(crate) struct Work {
    pub(crate) supplier: String,
    pub(crate) session: Session,
    trie: smst::Trie,
    values: BTreeMap<smst::Path, Vec<u8>>,
}

/// Returns the types of the pocket events of a block's own, in order.
pub(crate) fn own_events(block: &Arc<Block>) -> Vec<&str> {
    let kinds = block.events().map(|event| event.r#type.as_str());
    kinds.filter(|kind| kind.starts_with("pocket.")).collect()
}

pub(crate) fn attribute<'a>(event: &'a Event, key: &str) -> &'a str {
    let found = event.attributes.iter().find(|attribute| attribute.key == key);
    &found.unwrap_or_else(|| panic!("{} has no {key}", event.r#type)).value
}

pub(crate) fn find<'a>(events: impl IntoIterator<Item = &'a Event>, kind: &str) -> &'a Event {
    events.into_iter().find(|event| event.r#type == kind).unwrap_or_else(|| panic!("no {kind}"))
}
