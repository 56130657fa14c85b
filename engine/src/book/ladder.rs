//! One side's price levels, of the book or of the stops that wait.
//!
//! All are one structure: a price becomes a 48-bit key that is smaller the sooner the price's turn comes, so that the
//! next level is always the first. Levels lie in blocks of 64 neighbouring keys with a bitmap of the occupied ones; blocks
//! are leaves of a radix tree with 64 children a node, and are linked to their neighbours.
//!
//! ```text
//! key   47        42 41 …                          6 5        0
//!      └─ node ────┴── node … ──────────────────────┴─ level ─┘
//!                                     block number     in block
//! ```
//!
//! The tree is only as high as the keys in it are apart: the root covers one aligned range, grows upward when a key
//! falls outside, and shrinks when one child is left. A dense book is one or two levels high; a lone order at 10^12
//! ticks costs a few nodes and slows nobody else, because the next better or worse level is found through the bitmap
//! and the block's neighbour, without the tree.

use alloc::vec::Vec;

use super::arena::{Arena, NIL, Order, Slot};
use super::level::{Chain, Links, Queue};
use super::pieces::Pieces;
use super::prefetch::prefetch;
use crate::{Amount, Price, Quantity};

/// Keys in a block, children of a node.
const FANOUT_BITS: u32 = 6;
const FANOUT: usize = 1 << FANOUT_BITS;
const KEY_BITS: u32 = 48;
const KEY_MAX: u64 = (1 << KEY_BITS) - 1;

/// The most nodes between the root and a block, root included.
const HEIGHT_MAX: u32 = KEY_BITS / FANOUT_BITS - 1;

const _: () = assert!(Price::MAX.0 < KEY_MAX, "every price has a key on both sides");
const _: () = assert!(KEY_BITS.is_multiple_of(FANOUT_BITS));

/// 64 neighbouring levels, without the levels themselves.
#[derive(Debug)]
struct Block {
    /// Key without its last six bits.
    number: u64,
    /// Levels in use.
    occupied: u64,
    parent: u32,
    /// The next better block.
    previous: u32,
    /// The next worse block.
    next: u32,
}

/// Where a level lies: its block, and its place in that.
pub(crate) type LevelAt = u32;

/// The orders at one price, and how much they have open together: more than 64 bits, if they are many and large.
#[derive(Debug, Clone, Copy)]
struct Level {
    queue: Queue,
    quantity: Amount,
}

impl Level {
    const EMPTY: Self = Self { queue: Queue::EMPTY, quantity: Amount::ZERO };
}

#[derive(Debug)]
struct Node {
    occupied: u64,
    parent: u32,
    children: [u32; FANOUT],
}

/// The blocks, levels and nodes of all ladders of the venue. What is given back is empty.
#[derive(Debug)]
pub(crate) struct Pool {
    blocks: Pieces<Block>,
    /// 64 a block.
    levels: Vec<Level>,
    nodes: Pieces<Node>,
}

impl Pool {
    /// Room for `blocks` blocks of prices, and for as many nodes as can stand above them.
    pub(crate) fn new(blocks: u32) -> Self {
        let nodes = blocks.saturating_mul(HEIGHT_MAX).saturating_add(2 * HEIGHT_MAX);
        let levels = Vec::with_capacity(blocks as usize * FANOUT);
        Self { blocks: Pieces::new(blocks), levels, nodes: Pieces::new(nodes) }
    }

    /// Whether there is room for another block.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.blocks.available() > 0
    }

    fn take_block(&mut self, number: u64) -> u32 {
        let at = self.blocks.take(|| Block { number, occupied: 0, parent: NIL, previous: NIL, next: NIL });
        self.blocks[at] = Block { number, occupied: 0, parent: NIL, previous: NIL, next: NIL };
        let end = (at as usize + 1) * FANOUT;
        if self.levels.len() < end {
            self.levels.resize(end, Level::EMPTY);
        }
        at
    }

    fn take_node(&mut self) -> u32 {
        let at = self.nodes.take(|| Node { occupied: 0, parent: NIL, children: [NIL; FANOUT] });
        self.nodes[at].parent = NIL;
        at
    }

    fn give_back_node(&mut self, at: u32) {
        self.nodes[at].occupied = 0;
        self.nodes.give_back(at);
    }

    #[inline]
    fn level(&self, at: LevelAt) -> &Level {
        &self.levels[at as usize]
    }

    #[inline]
    fn level_mut(&mut self, at: LevelAt) -> &mut Level {
        &mut self.levels[at as usize]
    }

    /// Asks for the memory of a level.
    #[inline]
    pub(super) fn prefetch(&self, at: LevelAt) {
        prefetch(self.levels.get(at as usize));
    }

    /// What the orders of a level have open together.
    pub(super) fn quantity(&self, at: LevelAt) -> u128 {
        self.level(at).quantity.0
    }

    /// The order at the back of a level, [`NIL`] if it is empty.
    #[inline]
    pub(super) fn back(&self, at: LevelAt) -> Slot {
        self.level(at).queue.back()
    }

    /// An order of any ladder has so much less open.
    #[inline]
    pub(super) fn reduce(&mut self, arena: &Arena, slot: Slot, by: Quantity) {
        self.level_mut(arena[slot].level).quantity.0 -= u128::from(by.0);
    }

    /// An order of any ladder goes to the back of its level.
    pub(super) fn send_back(&mut self, arena: &mut Arena, slot: Slot) {
        let queue = &mut self.level_mut(arena[slot].level).queue;
        queue.remove(arena, Chain::Level, slot);
        queue.push(arena, Chain::Level, slot);
    }

    /// The block's first occupied level.
    #[inline]
    fn first_level(&self, block: u32) -> LevelAt {
        block << FANOUT_BITS | self.blocks[block].occupied.trailing_zeros()
    }
}

/// Which price of a ladder comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    Highest,
    Lowest,
}

/// One side of one book, or of its stops.
#[derive(Debug)]
pub(crate) struct Ladder {
    /// The key of the best level; none is greater than that of no level.
    best_key: u64,
    /// The best level; meaningless without one.
    best: LevelAt,
    /// What turns a price into its key: nothing, or every bit.
    mask: u64,
    /// A block if `height` is 0, else a node.
    root: u32,
    /// Nodes between the root, included, and a block.
    height: u32,
    /// What all block numbers have in common: number >> (6 × height).
    prefix: u64,
    /// The best block.
    first: u32,
    /// The worst block.
    last: u32,
    /// Blocks that were found lately, by the last bits of their number: most orders go where others went. [`NIL`]: none.
    near: [u32; NEAR],
}

/// How many blocks are found without the tree: neighbouring ones, if they follow one another.
const NEAR: usize = 256;

/// The best key of a ladder without levels.
const NO_KEY: u64 = u64::MAX;

/// The child of a node at `height` under which the block lies.
fn child_index(number: u64, height: u32) -> usize {
    (number >> (FANOUT_BITS * (height - 1))) as usize & (FANOUT - 1)
}

impl Ladder {
    pub(crate) fn new(first: First) -> Self {
        let mask = if first == First::Highest { KEY_MAX } else { 0 };
        Self {
            best_key: NO_KEY,
            best: NIL,
            mask,
            root: NIL,
            height: 0,
            prefix: 0,
            first: NIL,
            last: NIL,
            near: [NIL; NEAR],
        }
    }

    #[inline]
    fn key(&self, price: Price) -> u64 {
        debug_assert!(price.0 <= Price::MAX.0);
        price.0 ^ self.mask
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.best_key == NO_KEY
    }

    /// The best price.
    #[inline]
    pub(crate) fn best_price(&self) -> Option<Price> {
        (!self.is_empty()).then_some(Price(self.best_key ^ self.mask))
    }

    /// Whether the best price is at least as good as this one.
    #[inline]
    pub(crate) fn reaches(&self, price: Price) -> bool {
        self.best_key <= self.key(price)
    }

    /// The order whose turn is next.
    #[inline]
    pub(crate) fn best(&self, pool: &Pool) -> Option<Slot> {
        if self.is_empty() { None } else { pool.level(self.best).queue.first() }
    }

    /// The level of a price, if its block exists.
    #[inline]
    pub(super) fn level_at(&self, pool: &Pool, price: Price) -> Option<LevelAt> {
        let key = price.0 ^ self.mask;
        let block = self.find(pool, key >> FANOUT_BITS)?;
        Some(block << FANOUT_BITS | (key as u32 & (FANOUT as u32 - 1)))
    }

    /// Whether an order at this price finds room.
    #[inline]
    pub(crate) fn has_room(&self, pool: &Pool, price: Price) -> bool {
        pool.has_room() || self.find(pool, self.key(price) >> FANOUT_BITS).is_some()
    }

    /// Makes room for an order of this size at the back of the level of this price; the place and the links that it is to
    /// have.
    #[inline(always)]
    pub(crate) fn join(
        &mut self,
        pool: &mut Pool,
        arena: &mut Arena,
        slot: Slot,
        price: Price,
        leaves: Quantity,
    ) -> (LevelAt, Links) {
        let key = self.key(price);
        let block = self.find_or_insert(pool, key >> FANOUT_BITS);
        let index = key as u32 & (FANOUT as u32 - 1);
        let at = block << FANOUT_BITS | index;
        let level = pool.level_mut(at);
        level.quantity.0 += u128::from(leaves.0);
        let is_new = level.queue.is_empty();
        let links = level.queue.join(arena, Chain::Level, slot);
        if is_new {
            pool.blocks[block].occupied |= 1 << index;
            if key < self.best_key {
                (self.best_key, self.best) = (key, at);
            }
        }
        (at, links)
    }

    /// Takes an order out.
    #[inline(always)]
    pub(crate) fn leave(&mut self, pool: &mut Pool, arena: &mut Arena, order: &Order) {
        let level = pool.level_mut(order.level);
        level.quantity.0 -= u128::from(order.leaves.0);
        level.queue.leave(arena, Chain::Level, order.in_level);
        if level.queue.is_empty() {
            self.vacate(pool, order.level);
        }
    }

    /// A level has no order any more.
    fn vacate(&mut self, pool: &mut Pool, at: LevelAt) {
        let at_block = at >> FANOUT_BITS;
        let block = &mut pool.blocks[at_block];
        block.occupied &= !(1 << (at & (FANOUT as u32 - 1)));
        let (occupied, next) = (block.occupied, block.next);
        if self.best == at {
            let better = if occupied == 0 { next } else { at_block };
            (self.best_key, self.best) = match better {
                NIL => (NO_KEY, NIL),
                better => {
                    let best = pool.first_level(better);
                    let number = pool.blocks[better].number;
                    (number << FANOUT_BITS | u64::from(best & (FANOUT as u32 - 1)), best)
                }
            };
        }
        if occupied == 0 {
            self.remove_block(pool, at_block);
        }
    }

    /// The levels, best first: the orders, and how much they have open together.
    pub(crate) fn levels<'a>(&self, pool: &'a Pool) -> impl Iterator<Item = (Queue, u128)> + use<'a> {
        let (mut at, mut rest) = (self.first, u64::MAX);
        core::iter::from_fn(move || {
            loop {
                let block = (at != NIL).then(|| &pool.blocks[at])?;
                let occupied = block.occupied & rest;
                if occupied != 0 {
                    let index = occupied.trailing_zeros();
                    rest = u64::MAX.checked_shl(index + 1).unwrap_or(0);
                    let level = pool.level(at << FANOUT_BITS | index);
                    return Some((level.queue, level.quantity.0));
                }
                (at, rest) = (block.next, u64::MAX);
            }
        })
    }

    /// The orders, best level first, each level from front to back.
    pub(crate) fn orders<'a>(&self, pool: &'a Pool, arena: &'a Arena) -> impl Iterator<Item = Slot> + use<'a> {
        self.levels(pool).flat_map(|(queue, _)| queue.iter(arena, Chain::Level))
    }

    #[inline(always)]
    fn find(&self, pool: &Pool, number: u64) -> Option<u32> {
        let near = self.near[number as usize & (NEAR - 1)];
        match pool.blocks.get(near) {
            Some(block) if block.number == number => Some(near),
            _ => self.find_in_tree(pool, number),
        }
    }

    #[inline(never)]
    fn find_in_tree(&self, pool: &Pool, number: u64) -> Option<u32> {
        if self.root == NIL || number >> (FANOUT_BITS * self.height) != self.prefix {
            return None;
        }
        let mut at = self.root;
        for height in (1..=self.height).rev() {
            let index = child_index(number, height);
            let node = &pool.nodes[at];
            if node.occupied & 1 << index == 0 {
                return None;
            }
            at = node.children[index];
        }
        Some(at)
    }

    #[inline(always)]
    fn find_or_insert(&mut self, pool: &mut Pool, number: u64) -> u32 {
        let near = self.near[number as usize & (NEAR - 1)];
        match pool.blocks.get(near) {
            Some(block) if block.number == number => near,
            _ => self.find_or_insert_in_tree(pool, number),
        }
    }

    #[inline(never)]
    fn find_or_insert_in_tree(&mut self, pool: &mut Pool, number: u64) -> u32 {
        let block = match self.find_in_tree(pool, number) {
            Some(block) => block,
            None => self.insert_block(pool, number),
        };
        self.near[number as usize & (NEAR - 1)] = block;
        block
    }

    #[inline(never)]
    fn insert_block(&mut self, pool: &mut Pool, number: u64) -> u32 {
        if self.root == NIL {
            let block = pool.take_block(number);
            (self.root, self.height, self.prefix) = (block, 0, number);
            (self.first, self.last) = (block, block);
            return block;
        }
        while number >> (FANOUT_BITS * self.height) != self.prefix {
            self.grow(pool);
        }
        let (mut at, mut height) = (self.root, self.height);
        while pool.nodes[at].occupied & 1 << child_index(number, height) != 0 {
            at = pool.nodes[at].children[child_index(number, height)];
            height -= 1;
        }
        self.insert_below(pool, number, at, height)
    }

    /// Puts a node above the root.
    fn grow(&mut self, pool: &mut Pool) {
        let root = pool.take_node();
        attach(pool, root, self.height + 1, (self.prefix & (FANOUT as u64 - 1)) as usize, self.root);
        self.root = root;
        self.height += 1;
        self.prefix >>= FANOUT_BITS;
    }

    /// Makes the block `number` and the nodes that lead to it below the node `at`, which has none on that path.
    fn insert_below(&mut self, pool: &mut Pool, number: u64, mut at: u32, mut height: u32) -> u32 {
        while height > 1 {
            let node = pool.take_node();
            attach(pool, at, height, child_index(number, height), node);
            (at, height) = (node, height - 1);
        }
        let block = pool.take_block(number);
        attach(pool, at, 1, child_index(number, 1), block);
        self.link(pool, block);
        block
    }

    /// Links a new block to its neighbours.
    fn link(&mut self, pool: &mut Pool, block: u32) {
        let next = worse_neighbour(pool, block);
        let previous = if next == NIL { self.last } else { pool.blocks[next].previous };
        pool.blocks[block].previous = previous;
        pool.blocks[block].next = next;
        self.adjoin(pool, previous, block);
        self.adjoin(pool, block, next);
    }

    /// Makes two blocks neighbours; either may be none.
    fn adjoin(&mut self, pool: &mut Pool, better: u32, worse: u32) {
        match better {
            NIL => self.first = worse,
            better => pool.blocks[better].next = worse,
        }
        match worse {
            NIL => self.last = better,
            worse => pool.blocks[worse].previous = better,
        }
    }

    fn remove_block(&mut self, pool: &mut Pool, block: u32) {
        let &Block { number, previous, next, mut parent, .. } = &pool.blocks[block];
        self.adjoin(pool, previous, next);
        let near = &mut self.near[number as usize & (NEAR - 1)];
        if *near == block {
            *near = NIL;
        }
        pool.blocks.give_back(block);
        let mut height = 1;
        while parent != NIL {
            let node = &mut pool.nodes[parent];
            node.occupied &= !(1 << child_index(number, height));
            if node.occupied != 0 {
                self.shrink(pool);
                return;
            }
            let above = node.parent;
            pool.give_back_node(parent);
            (parent, height) = (above, height + 1);
        }
        self.root = NIL;
    }

    /// Takes away a root with a single child.
    fn shrink(&mut self, pool: &mut Pool) {
        while self.height > 0 && pool.nodes[self.root].occupied.is_power_of_two() {
            let node = &pool.nodes[self.root];
            let index = node.occupied.trailing_zeros();
            let child = node.children[index as usize];
            pool.give_back_node(self.root);
            self.root = child;
            self.height -= 1;
            self.prefix = self.prefix << FANOUT_BITS | u64::from(index);
            set_parent(pool, child, self.height, NIL);
        }
    }

    /// Checks the tree, the bitmaps and the neighbours against one another; the number of orders, or what is wrong.
    pub(crate) fn check(&self, pool: &Pool, arena: &Arena, price: impl Fn(Slot) -> Price) -> Result<u32, &'static str> {
        let first = (self.first != NIL).then(|| pool.first_level(self.first));
        let best = first
            .map_or(NO_KEY, |at| pool.blocks[self.first].number << FANOUT_BITS | u64::from(at & (FANOUT as u32 - 1)));
        if (best, first.unwrap_or(self.best)) != (self.best_key, self.best) {
            return Err("a ladder's best level is not the best");
        }
        let is_cached = |&near: &u32| {
            near == NIL
                || pool.blocks.get(near).is_some_and(|block| self.find_in_tree(pool, block.number) == Some(near))
        };
        if !self.near.iter().all(is_cached) {
            return Err("a block that was found lately is another's");
        }
        let (mut previous, mut at, mut count) = (NIL, self.first, 0);
        while at != NIL {
            let block = &pool.blocks[at];
            if block.previous != previous || self.find(pool, block.number) != Some(at) || block.occupied == 0 {
                return Err("a block is not where its number says");
            }
            if previous != NIL && pool.blocks[previous].number >= block.number {
                return Err("blocks are out of order");
            }
            for index in 0..FANOUT as u32 {
                let at_level = at << FANOUT_BITS | index;
                let level = pool.level(at_level);
                if level.queue.is_empty() == (block.occupied & 1 << index != 0) {
                    return Err("a bitmap disagrees with its levels");
                }
                count += level.queue.check(arena, Chain::Level).ok_or("a level's links disagree")?;
                let open: u128 =
                    level.queue.iter(arena, Chain::Level).map(|slot| u128::from(arena[slot].leaves.0)).sum();
                if open != level.quantity.0 {
                    return Err("a level's quantity is not that of its orders");
                }
                for slot in level.queue.iter(arena, Chain::Level) {
                    let key = self.key(price(slot));
                    if key != block.number << FANOUT_BITS | u64::from(index) || arena[slot].level != at_level {
                        return Err("an order is not at its price");
                    }
                }
            }
            (previous, at) = (at, block.next);
        }
        if previous != self.last || (self.root == NIL) != (self.first == NIL) {
            return Err("a ladder's ends are wrong");
        }
        Ok(count)
    }
}

/// Makes `child` a child of the node `parent`, which stands at `height`.
fn attach(pool: &mut Pool, parent: u32, height: u32, index: usize, child: u32) {
    let node = &mut pool.nodes[parent];
    node.occupied |= 1 << index;
    node.children[index] = child;
    set_parent(pool, child, height - 1, parent);
}

fn set_parent(pool: &mut Pool, child: u32, height: u32, parent: u32) {
    match height {
        0 => pool.blocks[child].parent = parent,
        _ => pool.nodes[child].parent = parent,
    }
}

/// The next worse block in the tree, by way of the first ancestor that has a child behind.
fn worse_neighbour(pool: &Pool, block: u32) -> u32 {
    let &Block { number, mut parent, .. } = &pool.blocks[block];
    let mut height = 1;
    while parent != NIL {
        let node = &pool.nodes[parent];
        let behind = node.occupied & (u64::MAX << child_index(number, height) << 1);
        if behind != 0 {
            return first_block(pool, node.children[behind.trailing_zeros() as usize], height - 1);
        }
        (parent, height) = (node.parent, height + 1);
    }
    NIL
}

fn first_block(pool: &Pool, mut at: u32, height: u32) -> u32 {
    for _ in 0..height {
        let node = &pool.nodes[at];
        at = node.children[node.occupied.trailing_zeros() as usize];
    }
    at
}
