//! The events of a settlement, as messages.

use pocket_proto::pocket::application::EventApplicationUnbondingBegin;
use pocket_proto::pocket::supplier::EventSupplierUnbondingBegin;
use pocket_proto::pocket::tokenomics::{
    EventApplicationOverserviced, EventApplicationReimbursementRequest, EventClaimDiscarded, EventClaimExpired,
    EventClaimSettled, EventSettlementBatch, EventSupplierRevShareFallbackDistribution, EventSupplierSlashed,
    EventValidatorRewardDistribution,
};
use prost::Name as _;

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident($message:ident),)*) => {
        /// One event. Its attributes on the chain are the fields of the message (§8.9).
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event {
            $($(#[$doc])* $variant(Box<$message>),)*
        }

        impl Event {
            /// Returns the full name of the message, the type of the event on the chain.
            pub fn name(&self) -> String {
                match self {
                    $(Self::$variant(_) => $message::full_name(),)*
                }
            }

            /// Returns type and attributes of the event as the chain emits it (§8.9).
            pub fn typed(&self) -> (String, Vec<(String, String)>) {
                match self {
                    $(Self::$variant(message) => pocket_proto::json::event_of(message.as_ref()),)*
                }
                .expect("events hold no times, which alone can fail to be written")
            }
        }

        $(impl From<$message> for Event {
            fn from(message: $message) -> Self {
                Self::$variant(Box::new(message))
            }
        })*
    };
}

events! {
    /// An application's budget did not suffice for a claim.
    ApplicationOverserviced(EventApplicationOverserviced),
    /// A supplier's revenue share list could not be used.
    RevShareFallback(EventSupplierRevShareFallbackDistribution),
    /// An application paid inflation that the DAO is to give back.
    ReimbursementRequest(EventApplicationReimbursementRequest),
    /// An application's stake fell below the minimum.
    ApplicationUnbondingBegin(EventApplicationUnbondingBegin),
    /// A claim was paid.
    ClaimSettled(EventClaimSettled),
    /// A claim lacked a valid proof.
    ClaimExpired(EventClaimExpired),
    /// A claim could not be processed.
    ClaimDiscarded(EventClaimDiscarded),
    /// A validator received its part of the proposer shares.
    ValidatorReward(EventValidatorRewardDistribution),
    /// A sum of movements of tokens was executed.
    SettlementBatch(EventSettlementBatch),
    /// A supplier's stake fell below the minimum.
    SupplierUnbondingBegin(EventSupplierUnbondingBegin),
    /// A supplier lost stake for an unproved claim.
    SupplierSlashed(EventSupplierSlashed),
}
