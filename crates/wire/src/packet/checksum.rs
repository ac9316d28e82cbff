//! The internet checksum (RFC 1071), as a sum that can be added to before it is folded.

use std::net::IpAddr;

/// Sum of big-endian words, not folded; an odd tail is padded with zeros. Sums of parts may be added
/// when every part but the last has an even length.
pub(super) fn sum(bytes: &[u8]) -> u64 {
    // Words of 32 bits: 2^16 is 1 modulo 2^16 - 1, so that their halves may be added when folding.
    let (words, rest) = bytes.as_chunks::<4>();
    let whole: u64 = words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    whole + u64::from(u32::from_be_bytes(last))
}

/// Sum over an address.
pub(super) fn address(addr: IpAddr) -> u64 {
    match addr {
        IpAddr::V4(addr) => u64::from(addr.to_bits()),
        IpAddr::V6(addr) => sum(&addr.octets()),
    }
}

/// Sum over the pseudo-header of TCP, UDP and ICMPv6 (RFC 9293 §3.1, RFC 8200 §8.1).
pub(super) fn pseudo(from: IpAddr, to: IpAddr, protocol: u8, len: usize) -> u64 {
    address(from) + address(to) + u64::from(protocol) + len as u64
}

/// The field's value. Zero over bytes that contain a right checksum.
pub(super) const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the RFC states it: one word after the other, the carry added at once.
    fn slow(bytes: &[u8]) -> u16 {
        let mut total: u32 = 0;
        for pair in bytes.chunks(2) {
            total += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low));
            total = (total & 0xffff) + (total >> 16);
        }
        !(total as u16)
    }

    #[test]
    fn the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(sum(&bytes)), !0xddf2);
    }

    #[test]
    fn the_largest_sums_fold() {
        assert_eq!(fold(u64::MAX), 0);
        assert_eq!(fold(0xffff_ffff), 0);
        assert_eq!(fold(0), 0xffff);
        assert_eq!(fold(0x1_fffe), 0);
    }

    proptest! {
        #[test]
        fn as_the_rfc_states_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(fold(sum(&bytes)), slow(&bytes));
        }

        #[test]
        fn parts_add_up(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..100) {
            let (head, tail) = bytes.split_at((cut * 2).min(bytes.len() & !1));
            prop_assert_eq!(fold(sum(head) + sum(tail)), slow(&bytes));
        }
    }
}
