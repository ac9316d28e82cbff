//! How many times larger an answer is than its question: what an attacker who forges the sender's
//! address would gain (bandwidth and packet amplification factors of Rossow, *Amplification Hell*,
//! NDSS 2014).

/// Largest IP packet counted as one; a longer datagram travels in fragments.
const MTU_BYTES: u64 = 1500;

const UDP_HEADER_BYTES: u64 = 8;

/// Headers of a packet and of a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// 20 bytes, a fragment the same.
    V4,
    /// 40 bytes, a fragment 8 more.
    V6,
}

/// Datagrams of one direction, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of UDP payload.
    pub payload_bytes: u64,
    /// IP packets, fragments counted each.
    pub packets: u64,
    /// Bytes of IP packets, headers included, without link-layer framing.
    pub ip_bytes: u64,
}

impl Traffic {
    fn add(&mut self, family: Family, payload_bytes: usize) {
        let payload_bytes = payload_bytes as u64;
        let datagram = payload_bytes + UDP_HEADER_BYTES;
        let (header, fragment_header) = match family {
            Family::V4 => (20, 20),
            Family::V6 => (40, 48),
        };
        let (packets, headers) = if header + datagram <= MTU_BYTES {
            (1, header)
        } else {
            // Every fragment but the last carries a multiple of eight bytes.
            let packets = datagram.div_ceil((MTU_BYTES - fragment_header) / 8 * 8);
            (packets, packets * fragment_header)
        };
        self.payload_bytes += payload_bytes;
        self.packets += packets;
        self.ip_bytes += headers + datagram;
    }
}

/// Counts a question and what comes back, up to limits of bytes and datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    family: Family,
    /// What was asked.
    pub asked: Traffic,
    /// What was answered.
    pub answered: Traffic,
    /// There was more than was counted: the factors are lower bounds.
    pub cut: bool,
    bytes_left: u64,
    datagrams_left: u32,
}

impl Tally {
    /// Begins with nothing; at most so much of an answer is counted.
    pub const fn new(family: Family, bytes_max: u64, datagrams_max: u32) -> Self {
        let none = Traffic { payload_bytes: 0, packets: 0, ip_bytes: 0 };
        Self {
            family,
            asked: none,
            answered: none,
            cut: false,
            bytes_left: bytes_max,
            datagrams_left: datagrams_max,
        }
    }

    /// One datagram was sent.
    pub fn ask(&mut self, payload_bytes: usize) {
        self.asked.add(self.family, payload_bytes);
    }

    /// One datagram came back; false when it exceeds the limits and was not counted.
    pub fn hear(&mut self, payload_bytes: usize) -> bool {
        let bytes_left = self.bytes_left.checked_sub(payload_bytes as u64);
        let (Some(bytes_left), Some(datagrams_left)) = (bytes_left, self.datagrams_left.checked_sub(1))
        else {
            self.cut = true;
            return false;
        };
        (self.bytes_left, self.datagrams_left) = (bytes_left, datagrams_left);
        self.answered.add(self.family, payload_bytes);
        true
    }

    /// Bandwidth amplification factor in thousandths: payload that came over payload that was sent.
    /// 0 when nothing was asked.
    pub fn bandwidth_factor_milli(&self) -> u64 {
        ratio_milli(self.answered.payload_bytes, self.asked.payload_bytes)
    }

    /// Packet amplification factor in thousandths.
    pub fn packet_factor_milli(&self) -> u64 {
        ratio_milli(self.answered.packets, self.asked.packets)
    }

    /// The same of whole IP packets in bytes, in thousandths: what a link has to carry.
    pub fn ip_factor_milli(&self) -> u64 {
        ratio_milli(self.answered.ip_bytes, self.asked.ip_bytes)
    }
}

fn ratio_milli(answered: u64, asked: u64) -> u64 {
    (answered * 1000).checked_div(asked).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_factors_of_monlist() {
        // Rossow's figures for one question of 8 bytes and a full list: 100 datagrams of 440 bytes.
        let mut tally = Tally::new(Family::V4, 1 << 20, 1000);
        tally.ask(8);
        for _ in 0..100 {
            assert!(tally.hear(440));
        }
        assert_eq!(tally.bandwidth_factor_milli(), 5_500_000);
        assert_eq!(tally.packet_factor_milli(), 100_000);
        assert_eq!((tally.asked.ip_bytes, tally.answered.ip_bytes), (36, 46_800));
        assert_eq!(tally.ip_factor_milli(), 1_300_000);
        assert!(!tally.cut);
    }

    #[test]
    fn long_datagrams_travel_in_fragments() {
        let check = |family, payload_bytes, packets, ip_bytes| {
            let mut tally = Tally::new(family, 1 << 20, 10);
            tally.hear(payload_bytes);
            assert_eq!((tally.answered.packets, tally.answered.ip_bytes), (packets, ip_bytes));
        };
        check(Family::V4, 0, 1, 28);
        check(Family::V4, 1472, 1, 1500);
        check(Family::V4, 1473, 2, 1473 + 8 + 40);
        check(Family::V4, 4096, 3, 4096 + 8 + 60);
        check(Family::V6, 1452, 1, 1500);
        check(Family::V6, 1453, 2, 1453 + 8 + 96);
    }

    #[test]
    fn counting_ends_at_the_limits() {
        let mut tally = Tally::new(Family::V4, 1000, 3);
        assert_eq!(tally.bandwidth_factor_milli(), 0);
        assert!(tally.hear(400) && tally.hear(400) && !tally.hear(400) && tally.cut);
        assert!(tally.hear(200) && !tally.hear(0));
        assert_eq!(tally.answered.payload_bytes, 1000);
    }

    proptest! {
        #[test]
        fn nothing_counts_beyond_the_limits(sizes in proptest::collection::vec(0_usize..70_000, 0..50), bytes_max in 0_u64..100_000, datagrams_max in 0_u32..20) {
            let mut tally = Tally::new(Family::V6, bytes_max, datagrams_max);
            let counted = sizes.iter().filter(|size| tally.hear(**size)).count();
            prop_assert!(tally.answered.payload_bytes <= bytes_max);
            prop_assert!(counted <= datagrams_max as usize);
            prop_assert_eq!(tally.cut, counted < sizes.len());
        }
    }
}
