use k256::Scalar;

use super::{super::*, bytes_of, point};

fn missing(number: u64) -> [Missing; 1] {
    let image = point(&Scalar::from(number));
    [Missing::Image { bytes: bytes_of(&image), image: image.to_affine() }]
}

#[test]
fn while_there_is_room_everything_missing_is_built_once() {
    let cache = TableCache::new(20 * Table::BYTES);
    for number in 1..=10 {
        assert_eq!(cache.build(&missing(number)), 1);
        assert_eq!(cache.build(&missing(number)), 0);
        assert_eq!(cache.bytes(), number * Table::BYTES as u64);
        assert!(cache.of_image(&bytes_of(&point(&Scalar::from(number)))).is_some());
        assert!(cache.of_key(&bytes_of(&point(&Scalar::from(number)))).is_none());
    }
    assert_eq!(cache.build(&[]), 0);
}

#[test]
fn with_the_memory_in_use_most_of_what_is_missing_is_passed_over() {
    let bytes = 40 * Table::BYTES;
    let cache = TableCache::new(bytes);
    let built: usize = (1..=40).map(|number| cache.build(&missing(number))).sum();
    assert!((35..=37).contains(&built), "{built} of 40 before the last eighth");
    let built: usize = (101..=260).map(|number| cache.build(&missing(number))).sum();
    assert!((10..=11).contains(&built), "{built} of 160 when full");
    assert!(cache.bytes() <= bytes as u64);
}

#[test]
fn without_room_for_a_table_none_is_built() {
    for bytes in [0, 1, Table::BYTES - 1] {
        assert_eq!(TableCache::new(bytes).build(&missing(1)), 0);
    }
}
