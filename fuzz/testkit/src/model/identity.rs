//! Rule 10.5: keys, their roles, and what an author may do.

use std::collections::{BTreeMap, BTreeSet};

use engine::command::{AddKey, AllowAddress, GrantRole, RevokeKey, RevokeRole, Role, SetPhase};
use engine::instrument::Phase;
use engine::*;

use super::Model;

/// Keys and what they were granted.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    pub(super) known: BTreeMap<KeyId, AddKey>,
    pub(super) revoked: BTreeSet<KeyId>,
    pub(super) grants: BTreeSet<(KeyId, AccountId, Role)>,
}

impl Keys {
    /// Known and not revoked.
    pub(super) fn acts(&self, key: KeyId) -> bool {
        self.known.contains_key(&key) && !self.revoked.contains(&key)
    }

    fn has(&self, key: KeyId, account: AccountId, role: Role) -> bool {
        self.grants.contains(&(key, account, role)) || self.grants.contains(&(key, AccountId::NONE, role))
    }

    pub(super) fn has_any_role(&self, key: KeyId) -> bool {
        self.grants.iter().any(|grant| grant.0 == key)
    }
}

impl Model {
    /// Whether the author is heard at all: the venue itself, or a key that acts, in a session of its own or in none.
    fn author_acts(&self) -> bool {
        let header = self.turn.header;
        let heard = header.session.is_none() || self.turn.in_session;
        heard && (header.author == KeyId::VENUE || self.keys.acts(header.author))
    }

    /// Whether the author may enter and amend an account's orders.
    pub(super) fn may_trade(&self, account: AccountId) -> bool {
        let author = self.turn.header.author;
        let granted = [Role::Trader, Role::MarketMaker].iter().any(|&role| self.keys.has(author, account, role));
        self.author_acts() && (author == KeyId::VENUE || granted)
    }

    /// Whether a key runs the venue or a part of it.
    pub(super) fn is_operator(&self, key: KeyId) -> bool {
        let granted = OPERATORS.iter().any(|(role, _)| self.keys.grants.contains(&(key, AccountId::NONE, *role)));
        granted || self.is_administrator(key)
    }

    fn is_administrator(&self, key: KeyId) -> bool {
        self.keys.grants.contains(&(key, AccountId::NONE, Role::Administrator))
    }

    /// Whether the author runs the venue or a part of it.
    pub(super) fn author_is_operator(&self) -> bool {
        let author = self.turn.header.author;
        self.author_acts() && (author == KeyId::VENUE || self.is_operator(author))
    }

    /// 10.5: whether the author may give a command by which the venue is run.
    pub(super) fn may_run(&self, body: &CommandBody) -> bool {
        let author = self.turn.header.author;
        if !self.author_acts() {
            return false;
        }
        if author == KeyId::VENUE || self.is_administrator(author) {
            return true;
        }
        let of_operators = match *body {
            CommandBody::GrantRole(GrantRole { role, .. }) | CommandBody::RevokeRole(RevokeRole { role, .. }) => {
                role == Role::Administrator || OPERATORS.iter().any(|(operator, _)| *operator == role)
            }
            CommandBody::RevokeKey(RevokeKey { key, .. }) | CommandBody::AllowAddress(AllowAddress { key, .. }) => {
                self.keys.acts(key) && self.is_operator(key)
            }
            _ => false,
        };
        let has = |role| self.keys.grants.contains(&(author, AccountId::NONE, role));
        let halts = matches!(body, CommandBody::SetPhase(SetPhase { phase: Phase::Halted, .. }));
        let part = OPERATORS.iter().any(|&(role, kinds)| has(role) && kinds.contains(&body.kind()));
        !of_operators && part || halts && has(Role::RiskOperator)
    }

    /// Whether the author may take risk out of the whole venue.
    pub(super) fn may_contain(&self) -> bool {
        let author = self.turn.header.author;
        let granted = self.keys.grants.contains(&(author, AccountId::NONE, Role::RiskOperator));
        self.author_acts() && (author == KeyId::VENUE || granted || self.is_administrator(author))
    }

    /// Whether the author may take an account's orders out: who trades for it, and who contains risk.
    pub(super) fn may_cancel(&self, account: AccountId) -> bool {
        self.may_trade(account) || self.may_contain()
    }
}

/// 10.5: what each operator's part of the venue needs.
const OPERATORS: [(Role, &[CommandKind]); 4] = [
    (
        Role::MarketOperator,
        &[
            CommandKind::SetPhase,
            CommandKind::SetCalendarEntry,
            CommandKind::RemoveCalendarEntry,
            CommandKind::SetPriceProtection,
            CommandKind::SetInstrumentLimits,
            CommandKind::BustTrade,
        ],
    ),
    (
        Role::AccountOperator,
        &[CommandKind::OpenAccount, CommandKind::ModifyAccount, CommandKind::Deposit, CommandKind::Withdraw],
    ),
    (Role::RiskOperator, &[CommandKind::SetAccountLimits]),
    (
        Role::KeyOperator,
        &[
            CommandKind::AddKey,
            CommandKind::RevokeKey,
            CommandKind::GrantRole,
            CommandKind::RevokeRole,
            CommandKind::AllowAddress,
        ],
    ),
];
