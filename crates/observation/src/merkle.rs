//! Merkle trees over salted rows (RFC 6962 §2.1), also when some of the rows are erased.
//!
//! A row is erased with its salt. What stays of it is a [`Node`]: the hash of a whole subtree, of which
//! nothing can be learned. The fewest nodes that stand for what is erased, with the rows that are kept,
//! make the root that the sensor signed.

use sha2::{Digest, Sha256};

use crate::Observation;

/// SHA-256.
pub type Hash = [u8; 32];

/// Bytes of a node as it is stored: first row, number of rows (both big-endian), hash.
const NODE_BYTES: usize = 4 + 4 + 32;

/// A subtree in the place of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Its first row.
    pub first: u32,
    /// How many rows it stands for.
    pub rows: u32,
    /// Its hash.
    pub hash: Hash,
}

impl Node {
    /// Nodes as they are stored.
    pub fn to_bytes(nodes: &[Self]) -> Vec<u8> {
        let one = |node: &Self| {
            let mut bytes = [0; NODE_BYTES];
            bytes[..4].copy_from_slice(&node.first.to_be_bytes());
            bytes[4..8].copy_from_slice(&node.rows.to_be_bytes());
            bytes[8..].copy_from_slice(&node.hash);
            bytes
        };
        nodes.iter().flat_map(one).collect()
    }

    /// Nodes that were stored; `None` when these bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Vec<Self>> {
        let (nodes, []) = bytes.as_chunks::<NODE_BYTES>() else { return None };
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
        let one = |node: &[u8; NODE_BYTES]| {
            let hash = node.last_chunk().expect("a node ends with its hash");
            Self { first: number(&node[..4]), rows: number(&node[4..8]), hash: *hash }
        };
        Some(nodes.iter().map(one).collect())
    }
}

/// The leaf of a row; `salt` is hexadecimal, as batches carry it.
pub fn leaf(observation: &Observation, salt: &str) -> Hash {
    let mut hash = Sha256::new_with_prefix([0u8]);
    hash.update(salt.as_bytes());
    hash.update(crate::batch::canonical(observation));
    hash.finalize().into()
}

/// The fewest nodes that stand for the rows of which a leaf is given, and for no other.
pub fn cover(leaves: &[Option<Hash>]) -> Vec<Node> {
    fn within(leaves: &[Option<Hash>], first: usize, nodes: &mut Vec<Node>) {
        if leaves.iter().all(Option::is_none) {
            return;
        }
        if let Some(hash) = subtree(leaves, first, &[]) {
            let number = |value: usize| u32::try_from(value).expect("a batch has fewer than 2^32 rows");
            nodes.push(Node { first: number(first), rows: number(leaves.len()), hash });
            return;
        }
        let (left, right) = leaves.split_at(half(leaves.len()));
        within(left, first, nodes);
        within(right, first + left.len(), nodes);
    }
    let mut nodes = Vec::new();
    within(leaves, 0, &mut nodes);
    nodes
}

/// The root of the tree of all rows, of which each is given as a leaf or lies under a node; `None` when
/// one is neither. Without rows it is the hash of nothing.
pub fn root(leaves: &[Option<Hash>], nodes: &[Node]) -> Option<Hash> {
    match leaves {
        [] => Some(Sha256::digest([]).into()),
        _ => subtree(leaves, 0, nodes),
    }
}

fn subtree(leaves: &[Option<Hash>], first: usize, nodes: &[Node]) -> Option<Hash> {
    // Nodes of one erasure are few, and most subtrees lie under none.
    let range = (first, leaves.len());
    let stands = nodes.iter().find(|node| (node.first as usize, node.rows as usize) == range);
    match (stands, leaves) {
        (Some(node), _) => Some(node.hash),
        (None, [leaf]) => *leaf,
        (None, _) => {
            let (left, right) = leaves.split_at(half(leaves.len()));
            let within = |from: usize, to: usize| -> Vec<Node> {
                let inside = |node: &&Node| (from..to).contains(&(node.first as usize));
                nodes.iter().filter(inside).copied().collect()
            };
            let middle = first + left.len();
            let (below, behind) = (within(first, middle), within(middle, first + leaves.len()));
            let mut hash = Sha256::new_with_prefix([1u8]);
            hash.update(subtree(left, first, &below)?);
            hash.update(subtree(right, middle, &behind)?);
            Some(hash.finalize().into())
        }
    }
}

/// The split is the largest power of two below the number of leaves.
fn half(leaves: usize) -> usize {
    leaves.next_power_of_two() / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u8) -> Vec<Option<Hash>> {
        (0..count).map(|n| Some([n; 32])).collect()
    }

    /// Every way of erasing rows in two acts leaves the root as it was.
    #[test]
    fn what_is_kept_and_what_stands_for_the_rest_make_the_root() {
        for count in 1..=7u8 {
            let all = leaves(count);
            let signed = root(&all, &[]).unwrap();
            for first in 0..1u32 << count {
                for second in 0..1u32 << count {
                    let second = second & !first;
                    let only = |set: u32| -> Vec<Option<Hash>> {
                        (0..).zip(&all).map(|(n, leaf)| leaf.filter(|_| set >> n & 1 == 1)).collect()
                    };
                    let mut nodes = cover(&only(first));
                    nodes.extend(cover(&only(second)));
                    let kept = only(!(first | second));
                    assert_eq!(root(&kept, &nodes), Some(signed), "{count} {first:b} {second:b}");
                    let erased: u32 = nodes.iter().map(|node| node.rows).sum();
                    assert_eq!(erased, (first | second).count_ones());
                    if let Some(lost) = nodes.pop() {
                        assert_eq!(root(&kept, &nodes), None, "{lost:?} is told by nothing else");
                    }
                }
            }
        }
    }

    #[test]
    fn nodes_are_few_and_stored_as_they_are() {
        assert_eq!(cover(&leaves(200)).len(), 1);
        let mut half_kept = leaves(200);
        half_kept[..77].fill(None);
        let nodes = cover(&half_kept);
        assert!(nodes.len() <= 8, "{nodes:?}");
        assert_eq!(Node::from_bytes(&Node::to_bytes(&nodes)), Some(nodes.clone()));
        assert_eq!(Node::from_bytes(&Node::to_bytes(&nodes)[1..]), None);
        assert_eq!(cover(&[]), []);
        // Another hash makes another root.
        let mut other = nodes;
        other[0].hash[0] ^= 1;
        let mut kept = leaves(200);
        kept[77..].fill(None);
        assert_ne!(root(&kept, &other), root(&leaves(200), &[]));
    }
}
