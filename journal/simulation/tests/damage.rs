//! A sample of the bits and of the rearrangements; all of them are `bit_flips` of crate `fuzz`.

use simulation::damage::{End, Expected, Size, Specimen};

/// Three segments, the last of which is not full.
const SMALL: Size = Size { commands: 1_130, batch: 100, segment_batches: 4 };

/// One bit of nineteen at the front of a page, where headers and first records are, and one of a thousand behind.
fn is_sampled(bit: u64) -> bool {
    bit.is_multiple_of(if bit / 8 % 4_096 < 80 { 19 } else { 1_009 })
}

#[test]
fn a_flipped_bit_is_damage_at_its_link_or_a_reported_cut_of_the_last() {
    for end in [End::Open, End::Sealed] {
        let specimen = Specimen::write(SMALL, end);
        assert_eq!(specimen.segment_count(), 3);
        assert!(specimen.is_whole());
        let (mut damaged, mut cut) = (0, 0);
        for bit in (0..specimen.bit_count()).filter(|&bit| is_sampled(bit)) {
            match specimen.check_bit(bit) {
                Ok(Expected::Damage { .. }) => damaged += 1,
                Ok(Expected::Cut { .. }) => cut += 1,
                Ok(Expected::Shorter { .. }) => unreachable!("no bit makes a journal shorter"),
                Err(surprise) => panic!("{end:?}: {surprise}"),
            }
        }
        assert!(damaged > 1_000 && cut > 50, "{damaged} damaged, {cut} cut");
        assert!(specimen.is_whole(), "every bit was flipped back");
    }
}

#[test]
fn batches_swapped_replaced_doubled_and_dropped_are_found() {
    for end in [End::Open, End::Sealed] {
        let specimen = Specimen::write(SMALL, end);
        let count = specimen.batch_count();
        let check = |outcome: Result<Expected, _>| outcome.unwrap_or_else(|surprise| panic!("{end:?}: {surprise}"));
        for a in 0..count {
            let dropped = check(specimen.check_dropped(a));
            // Of an open journal's last batch nothing else speaks.
            assert_eq!(matches!(dropped, Expected::Shorter { .. }), a == count - 1, "{dropped:?}");
            for b in 0..count {
                let doubled = check(specimen.check_doubled(a, b));
                assert!(!matches!(doubled, Expected::Shorter { .. }), "{a} behind {b}: {doubled:?}");
                if a < b {
                    let swapped = check(specimen.check_swapped(a, b));
                    assert!(matches!(swapped, Expected::Damage { .. }), "{a} and {b}: {swapped:?}");
                }
                if a != b {
                    let replaced = check(specimen.check_replaced(a, b));
                    assert!(!matches!(replaced, Expected::Shorter { .. }), "{b} instead of {a}: {replaced:?}");
                }
            }
        }
        assert!(specimen.is_whole());
    }
}
