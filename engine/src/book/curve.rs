//! What the orders of a call add up to at each limit, so that the auction price is found without looking at them.
//!
//! A binary tree over the bits of the limits: a leaf is one limit, an inner node the highest bit in which the limits
//! below it differ. Both know the sums of both sides below them. A change touches one path, at most 47 nodes, and the
//! tree's shape follows from the limits alone, whatever their order of arrival.
//!
//! ```text
//!             bit 3                  D(p): buys at p and to its right
//!            /     \                 S(p): sells at p and to its left
//!        bit 1     bit 0             The highest p with D(p) ≥ S(p) is one descent away.
//!       /    \    /     \
//!     100    102 108    109
//! ```

use alloc::vec::Vec;

use crate::order::Side;
use crate::{Price, Quantity};

/// No node.
const NIL: u32 = u32::MAX;

/// Quantities of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) buys: u128,
    pub(crate) sells: u128,
}

impl Sums {
    pub(crate) const ZERO: Self = Self { buys: 0, sells: 0 };

    fn side_mut(&mut self, side: Side) -> &mut u128 {
        match side {
            Side::Buy => &mut self.buys,
            Side::Sell => &mut self.sells,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self { buys: self.buys + other.buys, sells: self.sells + other.sells }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    sums: Sums,
    /// A leaf's limit; any limit below an inner node.
    limit: u64,
    /// The lower and the higher half of an inner node.
    children: [u32; 2],
    /// The bit that tells the halves apart; [`LEAF`] for a leaf.
    bit: u32,
}

const LEAF: u32 = u32::MAX;

impl Node {
    fn leaf(limit: u64) -> Self {
        Self { sums: Sums::ZERO, limit, children: [NIL; 2], bit: LEAF }
    }

    fn is_leaf(&self) -> bool {
        self.bit == LEAF
    }

    /// The half in which a limit lies.
    fn half(&self, limit: u64) -> usize {
        (limit >> self.bit) as usize & 1
    }
}

/// The nodes of all curves of the venue.
#[derive(Debug)]
pub(crate) struct Nodes {
    nodes: Vec<Node>,
    free: Vec<u32>,
}

impl Nodes {
    /// Room for the curves of so many orders.
    pub(crate) fn new(orders: u32) -> Self {
        let nodes = 2 * orders as usize;
        Self { nodes: Vec::with_capacity(nodes), free: Vec::with_capacity(nodes) }
    }

    fn take(&mut self, node: Node) -> u32 {
        if let Some(at) = self.free.pop() {
            self.nodes[at as usize] = node;
            return at;
        }
        self.nodes.push(node);
        (self.nodes.len() - 1) as u32
    }
}

impl core::ops::Index<u32> for Nodes {
    type Output = Node;

    fn index(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }
}

impl core::ops::IndexMut<u32> for Nodes {
    fn index_mut(&mut self, at: u32) -> &mut Node {
        &mut self.nodes[at as usize]
    }
}

/// One limit, and what trades there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) limit: Price,
    /// What has exactly this limit.
    pub(crate) own: Sums,
    /// D and S.
    pub(crate) reached: Sums,
}

impl Point {
    /// What would trade.
    pub(crate) fn volume(&self) -> u128 {
        self.reached.buys.min(self.reached.sells)
    }

    /// |X|.
    pub(crate) fn surplus(&self) -> u128 {
        self.reached.buys.abs_diff(self.reached.sells)
    }
}

/// The sums of one call.
#[derive(Debug)]
pub(crate) struct Curve {
    root: u32,
    /// Of market orders, which count at every price.
    market: Sums,
}

impl Curve {
    pub(crate) const EMPTY: Self = Self { root: NIL, market: Sums::ZERO };

    /// Of market orders.
    pub(crate) fn market(&self) -> Sums {
        self.market
    }

    /// So much more is open for a market order's side.
    pub(crate) fn add_market(&mut self, side: Side, quantity: u128) {
        *self.market.side_mut(side) += quantity;
    }

    /// So much less is open for a market order's side.
    pub(crate) fn take_market(&mut self, side: Side, quantity: u128) {
        *self.market.side_mut(side) -= quantity;
    }

    /// So much more is open at a limit.
    pub(crate) fn add(&mut self, nodes: &mut Nodes, side: Side, limit: Price, quantity: u128) {
        let limit = limit.0;
        if self.root == NIL {
            self.root = nodes.take(Node::leaf(limit));
        }
        let differs = self.nearest(nodes, limit) ^ limit;
        // The bit that parts this limit from its nearest one; none if it is there already.
        let parting = (differs != 0).then(|| differs.ilog2());
        let (mut above, mut at) = (NIL, self.root);
        loop {
            let node = &mut nodes[at];
            if parting.is_some_and(|bit| node.is_leaf() || node.bit < bit) {
                break;
            }
            *node.sums.side_mut(side) += quantity;
            if node.is_leaf() {
                return;
            }
            (above, at) = (at, node.children[node.half(limit)]);
        }
        let Some(bit) = parting else { return };
        let mut leaf = Node::leaf(limit);
        *leaf.sums.side_mut(side) = quantity;
        let leaf = nodes.take(leaf);
        let mut inner = Node { sums: nodes[at].sums.plus(nodes[leaf].sums), limit, children: [at; 2], bit };
        inner.children[inner.half(limit)] = leaf;
        let inner = nodes.take(inner);
        self.replace(nodes, above, at, inner);
    }

    /// So much less is open at a limit.
    pub(crate) fn take(&mut self, nodes: &mut Nodes, side: Side, limit: Price, quantity: u128) {
        let limit = limit.0;
        let (mut grandparent, mut parent, mut at) = (NIL, NIL, self.root);
        loop {
            let node = &mut nodes[at];
            *node.sums.side_mut(side) -= quantity;
            if node.is_leaf() {
                break;
            }
            (grandparent, parent, at) = (parent, at, node.children[node.half(limit)]);
        }
        if nodes[at].sums != Sums::ZERO {
            return;
        }
        nodes.free.push(at);
        if parent == NIL {
            self.root = NIL;
            return;
        }
        let [lower, higher] = nodes[parent].children;
        let sibling = if lower == at { higher } else { lower };
        self.replace(nodes, grandparent, parent, sibling);
        nodes.free.push(parent);
    }

    /// Gives all nodes back.
    pub(crate) fn clear(&mut self, nodes: &mut Nodes) {
        if self.root != NIL {
            give_back(nodes, self.root);
        }
        *self = Self::EMPTY;
    }

    /// Puts `with` where `node` is below `above`.
    fn replace(&mut self, nodes: &mut Nodes, above: u32, node: u32, with: u32) {
        match above {
            NIL => self.root = with,
            above => {
                let half = usize::from(nodes[above].children[1] == node);
                nodes[above].children[half] = with;
            }
        }
    }

    /// A limit that shares as many leading bits with this one as any does.
    fn nearest(&self, nodes: &Nodes, limit: u64) -> u64 {
        let mut node = &nodes[self.root];
        while !node.is_leaf() {
            node = &nodes[node.children[node.half(limit)]];
        }
        node.limit
    }

    /// The highest limit with D ≥ S and the lowest with D < S, as far as there are any.
    ///
    /// They are neighbours, because D falls and S rises from each limit to the next.
    pub(crate) fn crossing(&self, nodes: &Nodes) -> (Option<Point>, Option<Point>) {
        if self.root == NIL {
            return (None, None);
        }
        // Of market orders, buys to the right and sells to the left of where the descent is.
        let (mut reached, mut at) = (self.market, self.root);
        while !nodes[at].is_leaf() {
            let [lower, higher] = nodes[at].children;
            let (left, right) = (nodes[lower].sums, nodes[higher].sums);
            // At the lowest limit of the right half, but for the sells right there.
            if reached.buys + right.buys >= reached.sells + left.sells {
                (reached.sells, at) = (reached.sells + left.sells, higher);
            } else {
                (reached.buys, at) = (reached.buys + right.buys, lower);
            }
        }
        let Node { limit, sums: own, .. } = nodes[at];
        let point = Point { limit: Price(limit), own, reached: reached.plus(own) };
        match point.reached.buys >= point.reached.sells {
            true => (Some(point), self.above(nodes, &point)),
            false => (self.below(nodes, &point), Some(point)),
        }
    }

    /// The next higher limit.
    pub(crate) fn above(&self, nodes: &Nodes, point: &Point) -> Option<Point> {
        let (limit, own) = self.neighbour(nodes, point.limit, 1)?;
        let reached = Sums { buys: point.reached.buys - point.own.buys, sells: point.reached.sells + own.sells };
        Some(Point { limit, own, reached })
    }

    /// The next lower limit.
    pub(crate) fn below(&self, nodes: &Nodes, point: &Point) -> Option<Point> {
        let (limit, own) = self.neighbour(nodes, point.limit, 0)?;
        let reached = Sums { buys: point.reached.buys + own.buys, sells: point.reached.sells - point.own.sells };
        Some(Point { limit, own, reached })
    }

    /// The next limit that is there on the lower (0) or higher (1) side of one that is there.
    fn neighbour(&self, nodes: &Nodes, limit: Price, half: usize) -> Option<(Price, Sums)> {
        let (mut beside, mut at) = (NIL, self.root);
        while !nodes[at].is_leaf() {
            let own = nodes[at].half(limit.0);
            if own != half {
                beside = nodes[at].children[half];
            }
            at = nodes[at].children[own];
        }
        if beside == NIL {
            return None;
        }
        while !nodes[beside].is_leaf() {
            beside = nodes[beside].children[1 - half];
        }
        Some((Price(nodes[beside].limit), nodes[beside].sums))
    }

    /// Checks the sums against the levels of the book; whether they agree.
    pub(crate) fn agrees(&self, nodes: &Nodes, levels: impl Iterator<Item = (Side, Price, u128)>) -> bool {
        let (mut total, mut all_found) = (Sums::ZERO, true);
        for (side, limit, quantity) in levels {
            *total.side_mut(side) += quantity;
            all_found &=
                self.root != NIL && self.at(nodes, limit).is_some_and(|mut sums| *sums.side_mut(side) == quantity);
        }
        let root = if self.root == NIL { Sums::ZERO } else { nodes[self.root].sums };
        all_found && root == total
    }

    fn at(&self, nodes: &Nodes, limit: Price) -> Option<Sums> {
        let mut node = &nodes[self.root];
        while !node.is_leaf() {
            node = &nodes[node.children[node.half(limit.0)]];
        }
        (node.limit == limit.0).then_some(node.sums)
    }
}

fn give_back(nodes: &mut Nodes, at: u32) {
    if !nodes[at].is_leaf() {
        let [lower, higher] = nodes[at].children;
        give_back(nodes, lower);
        give_back(nodes, higher);
    }
    nodes.free.push(at);
}

/// A quantity as an event tells it: at most the largest that can be told.
pub(crate) fn told(quantity: u128) -> Quantity {
    Quantity(u64::try_from(quantity).unwrap_or(u64::MAX).min(Quantity::OFF_LOT.0 - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds and takes at random limits, and compares with plain lists of all limits.
    #[test]
    fn a_curve_finds_what_a_list_of_limits_finds() {
        let mut state = 7_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for round in 0..200 {
            let spread = [5, 60, 100_000, Price::MAX.0 - 1][round % 4];
            let (mut nodes, mut curve) = (Nodes::new(64), Curve::EMPTY);
            let mut orders: Vec<(Side, Price, u128)> = Vec::new();
            for _ in 0..60 {
                if random(3) > 0 || orders.is_empty() {
                    let side = Side::BOTH[random(2) as usize];
                    let order = (side, Price(1 + random(spread)), u128::from(1 + random(9)));
                    curve.add(&mut nodes, order.0, order.1, order.2);
                    orders.push(order);
                } else {
                    let order = orders.swap_remove(random(orders.len() as u64) as usize);
                    curve.take(&mut nodes, order.0, order.1, order.2);
                }
                let reached = |price: Price| Sums {
                    buys: orders.iter().filter(|o| o.0 == Side::Buy && o.1 >= price).map(|o| o.2).sum(),
                    sells: orders.iter().filter(|o| o.0 == Side::Sell && o.1 <= price).map(|o| o.2).sum(),
                };
                let buyers = |price: &Price| reached(*price).buys >= reached(*price).sells;
                let limits = || orders.iter().map(|order| order.1);
                let expected = (limits().filter(&buyers).max(), limits().filter(|price| !buyers(price)).min());
                let (bid, ask) = curve.crossing(&nodes);
                assert_eq!((bid.map(|point| point.limit), ask.map(|point| point.limit)), expected);
                for point in [bid, ask].into_iter().flatten() {
                    assert_eq!(point.reached, reached(point.limit));
                }
            }
            let used = nodes.nodes.len() - nodes.free.len();
            let mut limits: Vec<Price> = orders.iter().map(|order| order.1).collect();
            limits.sort_unstable();
            limits.dedup();
            assert_eq!(used, (2 * limits.len()).saturating_sub(1));
            curve.clear(&mut nodes);
            assert_eq!(nodes.nodes.len(), nodes.free.len());
        }
    }
}
