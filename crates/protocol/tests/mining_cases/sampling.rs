//! `sampling.json`: Go's generator, varints, seeded floats, the whole decision.

use num_bigint::BigUint;
use pocket_protocol::Upokt;
use pocket_protocol::mining::{self, Price, Work};
use pocket_protocol::params::Proof;
use pocket_protocol::sampling::{self, GoRand, Sample};
use prost::Message as _;

use super::{Case, exact_float, integer};

pub(crate) fn go_rand(case: &Case<'_>) {
    let seed: i64 = case.integer("seed");
    let fresh = || GoRand::new(seed);

    let mut source = fresh();
    for expected in case.list("int63") {
        assert_eq!(Some(source.int63()), integer(expected.value), "{}: int63", case.name());
    }
    let mut source = fresh();
    for expected in case.list("uint64") {
        assert_eq!(Some(source.uint64()), integer(expected.value), "{}: uint64", case.name());
    }
    let mut source = fresh();
    for expected in case.list("float64") {
        let expected = exact_float(expected.value).map(f64::to_bits);
        assert_eq!(Some(source.float64().to_bits()), expected, "{}: float64", case.name());
    }
    let mut source = fresh();
    let draws: Vec<i64> = (0..2000).map(|_| source.int63()).collect();
    assert_eq!(draws[606], case.integer::<i64>("int63_607th"), "{}: 607th", case.name());
    assert_eq!(draws[1999], case.integer::<i64>("int63_2000th"), "{}: 2000th", case.name());
}

pub(crate) fn varint(case: &Case<'_>) {
    let read = sampling::varint(&case.bytes("bytes"));
    assert_eq!((read.value, read.read), (case.integer("value"), case.integer("n")), "{}", case.name());
}

pub(crate) fn seeded_float64(case: &Case<'_>) {
    let parts: Vec<Vec<u8>> =
        case.list("parts").iter().map(|part| hex::decode(part.value.as_str().expect("text")).expect("hex")).collect();
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let sample = Sample::of_bytes(&parts);
    assert_eq!(sample.seed_hash, case.array("sha256"), "{}", case.name());
    assert_eq!(sample.seed, case.integer::<i64>("varint_seed"), "{}", case.name());
    assert_eq!(sampling::varint(&sample.seed_hash).read, case.integer::<i64>("varint_n"), "{}", case.name());
    assert_eq!(sample.value.to_bits(), case.exact_float("value").to_bits(), "{}", case.name());
}

pub(crate) fn proof_requirement(case: &Case<'_>) {
    let claim_bytes = case.bytes("claim");
    let claim = pocket_proto::pocket::proof::Claim::decode(claim_bytes.as_slice()).expect("a claim");
    assert_eq!(claim.encode_to_vec(), claim_bytes, "{}: encoding of the claim", case.name());

    let work = Work::of_root(&claim.root_hash).expect("48 bytes");
    assert_eq!(work.compute_units, case.integer::<u64>("claimed_compute_units"), "{}", case.name());
    assert_eq!(work.relays, case.integer::<u64>("num_relays"), "{}", case.name());
    let price = Price {
        compute_units_to_tokens_multiplier: case.integer("compute_units_to_tokens_multiplier"),
        compute_unit_cost_granularity: case.integer("compute_unit_cost_granularity"),
    };
    let claimed = mining::claimed_upokt(work.compute_units, &case.array("target"), price).expect("a price");
    assert_eq!(claimed, case.integer::<BigUint>("claimed_upokt"), "{}", case.name());

    let hash = sampling::claim_hash(&claim_bytes);
    assert_eq!(hash, case.array("claim_hash"), "{}", case.name());
    let params = Proof {
        request_probability: case.exact_float("proof_request_probability"),
        requirement_threshold: Upokt(case.integer("proof_requirement_threshold")),
        missing_penalty: Upokt::ZERO,
        submission_fee: Upokt::ZERO,
    };
    let decision = sampling::decide(&hash, &case.bytes("seed_block_hash"), &claimed, &(&params).into());
    assert_eq!(decision.sample.seed_hash, case.array("seed_hash"), "{}", case.name());
    assert_eq!(decision.sample.seed, case.integer::<i64>("varint_seed"), "{}", case.name());
    assert_eq!(decision.sample.value.to_bits(), case.exact_float("sample").to_bits(), "{}", case.name());
    assert_eq!(decision.requirement.name(), case.text("requirement"), "{}", case.name());
}
