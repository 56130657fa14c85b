//! What the edge knows of keys: how their holders prove to have them, what they may do, and where they may come from.
//!
//! Whether a command may be carried out is the core's business. What is asked here is what the core is never asked: whose
//! login it is, from where, what a key may be told, and how fast it may go.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use engine::command::{KeyKind, Role};
use engine::settings::KeySettings;
use engine::{AccountId, Engine, Event, KeyId};

/// A key that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// How its holder proves to have it.
    pub kind: KeyKind,
    /// Its public half, or what stands for it.
    pub public_key: [u8; 32],
    /// What it may do, and for which account; none: for the whole venue.
    grants: BTreeSet<(Role, AccountId)>,
    /// Where its holder may come from; empty: from anywhere.
    networks: BTreeSet<Network>,
}

/// Addresses that agree in their leading bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Network {
    address: u128,
    prefix_bits: u8,
}

impl Network {
    fn contains(self, address: u128) -> bool {
        let differing = (self.address ^ address).leading_zeros();
        differing >= u32::from(self.prefix_bits)
    }
}

impl Key {
    fn new(kind: KeyKind, public_key: [u8; 32]) -> Self {
        Self { kind, public_key, grants: BTreeSet::new(), networks: BTreeSet::new() }
    }

    /// Whether it acts in a role, for any account.
    pub fn acts_as(&self, role: Role) -> bool {
        self.grants.iter().any(|&(granted, _)| granted == role)
    }

    /// Whether it has one of `roles` for an account, or for the whole venue.
    fn has_any(&self, roles: &[Role], account: AccountId) -> bool {
        let granted =
            |role: Role| self.grants.contains(&(role, account)) || self.grants.contains(&(role, AccountId::NONE));
        roles.iter().copied().any(granted)
    }

    /// Whether it may be told what an account has and does. Whoever runs the venue, or accounts, or contains their risk,
    /// may be of every account.
    pub fn may_read(&self, account: AccountId) -> bool {
        let readers = [
            Role::Trader,
            Role::MarketMaker,
            Role::DropCopy,
            Role::ReadOnly,
            Role::Administrator,
            Role::AccountOperator,
            Role::RiskOperator,
        ];
        self.has_any(&readers, account)
    }

    /// Whether an account's reports are copied to it.
    pub fn copies(&self, account: AccountId) -> bool {
        self.has_any(&[Role::DropCopy], account)
    }

    /// The accounts whose reports are copied to it; none: every account.
    pub fn copied_accounts(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.grants.iter().filter(|&&(role, _)| role == Role::DropCopy).map(|&(_, account)| account)
    }

    /// Whether its holder may come from an address.
    pub fn may_come_from(&self, address: IpAddr) -> bool {
        let address = in_ipv6(address).to_bits();
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(address))
    }
}

/// An address as the core has it: IPv4 mapped into IPv6.
pub fn in_ipv6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// The keys that count, by identity. It follows released events, and is therefore behind the core.
#[derive(Debug, Default)]
pub struct Rights {
    keys: BTreeMap<KeyId, Key>,
}

impl Rights {
    /// The rights of an engine that takes no commands yet.
    pub fn of(engine: &Engine) -> Self {
        let valid = engine.known_keys().filter(|settings| !settings.is_revoked);
        let key = |KeySettings { key, kind, public_key, .. }| (key, Key::new(kind, public_key));
        let mut rights = Self { keys: valid.map(key).collect() };
        for (key, role, account) in engine.grants() {
            rights.with(key, |key| _ = key.grants.insert((role, account)));
        }
        for (key, address, prefix_bits) in engine.networks() {
            rights.with(key, |key| _ = key.networks.insert(network(address, prefix_bits)));
        }
        rights
    }

    /// A key; none if it is not known or revoked.
    pub fn key(&self, key: KeyId) -> Option<&Key> {
        self.keys.get(&key)
    }

    /// The keys that count, by identity.
    pub fn keys(&self) -> impl Iterator<Item = (KeyId, &Key)> {
        self.keys.iter().map(|(&id, key)| (id, key))
    }

    /// Takes in what a released event says of keys.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::KeyAdded(added) => {
                let key = Key::new(added.command.kind, added.command.public_key);
                self.keys.insert(added.command.key, key);
            }
            Event::KeyRevoked(revoked) => {
                self.keys.remove(&revoked.command.key);
            }
            Event::RoleGranted(granted) => {
                let grant = (granted.command.role, granted.command.account);
                self.with(granted.command.key, |key| _ = key.grants.insert(grant));
            }
            Event::RoleRevoked(revoked) => {
                let grant = (revoked.command.role, revoked.command.account);
                self.with(revoked.command.key, |key| _ = key.grants.remove(&grant));
            }
            Event::AddressAllowed(allowed) => {
                let network = network(allowed.command.address, allowed.command.prefix_bits);
                self.with(allowed.command.key, |key| _ = key.networks.insert(network));
            }
            _ => {}
        }
    }

    fn with(&mut self, key: KeyId, change: impl FnOnce(&mut Key)) {
        if let Some(key) = self.keys.get_mut(&key) {
            change(key);
        }
    }
}

fn network(address: [u8; 16], prefix_bits: u8) -> Network {
    Network { address: u128::from_be_bytes(address), prefix_bits }
}

#[cfg(test)]
mod tests {
    use engine::command::{AddKey, AdminNote, AllowAddress, GrantRole, RevokeKey, RevokeRole};
    use engine::event::{AddressAllowed, KeyAdded, KeyRevoked, RoleGranted, RoleRevoked};
    use engine::{Capacity, Command, CommandBody, Sequenced, Stamp, StpGroup, Timestamp};

    use super::*;

    const KEY: KeyId = KeyId(5);
    const AUTHOR: KeyId = KeyId::VENUE;
    const NOTE: AdminNote = AdminNote::NONE;
    const ACCOUNTS: [AccountId; 2] = [AccountId(2), AccountId(3)];

    fn added() -> Rights {
        let mut rights = Rights::default();
        let command = AddKey { key: KEY, kind: KeyKind::Ed25519, public_key: [7; 32], note: NOTE };
        rights.apply(&KeyAdded { author: AUTHOR, command }.into());
        rights
    }

    fn grant(role: Role, account: AccountId) -> GrantRole {
        GrantRole { key: KEY, role, account, note: NOTE }
    }

    fn allow(address: &str, prefix_bits: u8) -> AllowAddress {
        let address = in_ipv6(address.parse().unwrap()).octets();
        AllowAddress { key: KEY, address, prefix_bits, note: NOTE }
    }

    #[test]
    fn a_role_says_of_which_accounts_a_key_may_be_told() {
        let mut rights = added();
        let read = |rights: &Rights| ACCOUNTS.map(|account| rights.key(KEY).unwrap().may_read(account));
        let copied = |rights: &Rights| ACCOUNTS.map(|account| rights.key(KEY).unwrap().copies(account));
        assert_eq!((read(&rights), copied(&rights)), ([false; 2], [false; 2]));
        rights.apply(&RoleGranted { author: AUTHOR, command: grant(Role::ReadOnly, ACCOUNTS[0]) }.into());
        assert_eq!((read(&rights), copied(&rights)), ([true, false], [false; 2]));
        rights.apply(&RoleGranted { author: AUTHOR, command: grant(Role::DropCopy, AccountId::NONE) }.into());
        assert_eq!((read(&rights), copied(&rights)), ([true; 2], [true; 2]));
        let GrantRole { key, role, account, note } = grant(Role::DropCopy, AccountId::NONE);
        let command = RevokeRole { key, role, account, note };
        rights.apply(&RoleRevoked { author: AUTHOR, command }.into());
        assert_eq!((read(&rights), copied(&rights)), ([true, false], [false; 2]));
        assert!(!rights.key(KEY).unwrap().acts_as(Role::Trader));
        rights.apply(&KeyRevoked { author: AUTHOR, command: RevokeKey { key: KEY, note: NOTE } }.into());
        assert_eq!(rights.key(KEY), None);
    }

    #[test]
    fn a_key_with_networks_comes_from_them_alone() {
        let mut rights = added();
        let from = |rights: &Rights, address: &str| rights.key(KEY).unwrap().may_come_from(address.parse().unwrap());
        assert!(from(&rights, "203.0.113.9"));
        // 10.1.0.0/16 is 96 + 16 bits of the mapped address.
        for command in [allow("10.1.0.0", 112), allow("2001:db8::", 32), allow("192.0.2.7", 128)] {
            rights.apply(&AddressAllowed { author: AUTHOR, command }.into());
        }
        let addresses = ["10.1.255.1", "10.2.0.1", "2001:db8:1::1", "2001:db9::1", "192.0.2.7", "192.0.2.6"];
        assert_eq!(addresses.map(|address| from(&rights, address)), [true, false, true, false, true, false]);
        rights.apply(&AddressAllowed { author: AUTHOR, command: allow("::", 0) }.into());
        assert_eq!(addresses.map(|address| from(&rights, address)), [true; 6]);
    }

    #[test]
    fn what_events_say_is_what_the_engine_has() {
        let mut engine = Engine::new(Capacity::SMALL);
        let mut followed = Rights::default();
        let open = |account| engine::command::OpenAccount {
            account,
            stp_group: StpGroup::NONE,
            self_trade_prevention: None,
            fee_tier: 0,
            note: NOTE,
        };
        let key = |key, byte| AddKey { key: KeyId(key), kind: KeyKind::Ed25519, public_key: [byte; 32], note: NOTE };
        let commands: [CommandBody; 7] = [
            open(ACCOUNTS[0]).into(),
            key(5, 1).into(),
            key(6, 2).into(),
            grant(Role::DropCopy, ACCOUNTS[0]).into(),
            allow("10.1.0.0", 112).into(),
            grant(Role::Administrator, AccountId::NONE).into(),
            RevokeKey { key: KeyId(6), note: NOTE }.into(),
        ];
        for body in commands {
            let stamp = Stamp { sequence: engine.last().sequence.next(), time: Timestamp(1) };
            let mut events = Vec::new();
            engine.apply(&Sequenced { stamp, value: Command::from_venue(body) }, &mut events);
            events.iter().for_each(|(_, event)| followed.apply(event));
        }
        assert_eq!(followed.keys.len(), 1);
        assert_eq!(Rights::of(&engine).keys, followed.keys);
    }
}
