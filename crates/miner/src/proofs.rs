//! Proofs: one branch of the trie, chosen by the block before the proof window.

use pocket_chain::Outcome;
use pocket_crypto::smst::{self, ProveError, SiblingData};
use pocket_proto::pocket::proof::MsgSubmitProof;
use pocket_protocol::height::Height;

use crate::claims::{any, root_of};
use crate::event::Event;
use crate::session::Session;
use crate::submit::Item;
use crate::tenure::{Cell, StepError, Tenure};
use crate::terms;

impl Tenure {
    /// Returns whether the last proof sent is in a block and not known to be wrong: sending it again would only cost its
    /// fee again. A node that does not index transactions never says so.
    pub(crate) async fn is_under_way(&self, session: &Session) -> bool {
        let Some(proof) = &session.record.proof else { return false };
        let Some(hash) = &proof.tx_hash else { return false };
        if proof.invalid_at >= proof.last_sent_height {
            return false;
        }
        matches!(self.miner.chain.outcome(hash).await, Ok(Outcome::Done { .. }))
    }

    /// Builds the proof that the chain asks for, and holds it against the claimed root before it is sent.
    pub(crate) async fn prove(&self, cell: &Cell, session: &mut Session) -> Result<Item, StepError> {
        let store = &self.miner.store;
        let seed = self.miner.chain.blocks().at(session.terms.windows.seed_height()).await?;
        let path = smst::proof_path(&seed.hash, &session.record.session);

        let closest = session.with_trie(store, move |trie| trie.closest(path)).await?;
        let closest = closest.ok_or_else(|| StepError::Proof("the trie has no leaf".to_owned()))?;
        let bytes = store
            .leaf_bytes(&self.supplier, &session.record.session, &closest.path)
            .await?
            .ok_or_else(|| StepError::Proof(format!("the bytes of leaf {} are gone", hex::encode(closest.path))))?;
        let make = move |trie: &mut smst::Trie| {
            // The leaf beside the proved one may be left out, so only one leaf is read back.
            trie.prove(path, |_| Ok::<_, std::convert::Infallible>(bytes.to_vec()), SiblingData::Omit)
        };
        let proof = session.with_trie(store, make).await?.map_err(|error: ProveError<_>| {
            // The trie and the store disagree: the next attempt starts from the store alone.
            StepError::Proof(error.to_string())
        });
        let proof = match proof {
            Ok(proof) => proof,
            Err(error) => {
                session.drop_trie();
                return Err(error);
            }
        };
        let root = root_of(&session.record).ok_or_else(|| StepError::Proof("the claim has no root".to_owned()))?;
        match smst::verify(&root, &proof) {
            Ok(true) => {}
            Ok(false) => {
                session.drop_trie();
                return Err(StepError::Proof("it leads to another root than the claim's".to_owned()));
            }
            Err(error) => return Err(StepError::Proof(error.to_string())),
        }
        let message = MsgSubmitProof {
            supplier_operator_address: session.record.supplier.clone(),
            session_header: Some(terms::header(&session.record)),
            proof: proof.compact().to_gob(),
        };
        Ok(Item {
            cell: cell.clone(),
            message: any(&message),
            sends: session.view().proof,
            close: session.terms.windows.proof_close,
        })
    }

    /// The chain found our proof wrong. It is sent again while the window is open, built anew from the store.
    pub(crate) async fn proof_invalid(&self, session: &mut Session, height: Height) -> Result<(), StepError> {
        let last_sent = session.record.proof.as_ref().and_then(|proof| proof.last_sent_height);
        let told = session.record.proof.as_ref().and_then(|proof| proof.invalid_at);
        if told.is_some() && told >= last_sent {
            return Ok(());
        }
        session.drop_trie();
        self.write(session, |record| {
            record.proof_required = Some(true);
            record.proof.get_or_insert_default().invalid_at = Some(height);
        })
        .await?;
        let about = session.about();
        tracing::error!(supplier = %about.supplier, session = %about.session, height, "the chain found a proof invalid");
        self.miner.teller.tell(Event::ProofInvalid { about, height });
        Ok(())
    }
}
