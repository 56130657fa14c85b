use std::sync::atomic::{AtomicU8, Ordering};

use engine::CommandBody;

use crate::command_ring::reduces_risk;

/// Which commands are let in.
///
/// Where the room for commands runs out, cancels go last, and the end of a session always has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Admission {
    /// All.
    #[default]
    Everything = 0,
    /// What reduces risk, and logins: who wants to cancel has to be able to log in.
    CancelsOnly = 1,
    /// The end of sessions.
    Nothing = 2,
}

impl Admission {
    /// Whether it lets a command in.
    pub fn admits(self, body: &CommandBody) -> bool {
        match self {
            Self::Everything => true,
            Self::CancelsOnly => {
                reduces_risk(body) || matches!(body, CommandBody::Negotiate(_) | CommandBody::Establish(_))
            }
            Self::Nothing => matches!(body, CommandBody::Disconnect(_)),
        }
    }
}

/// An [`Admission`] that one thread sets and any thread reads, without a lock.
#[derive(Debug, Default)]
pub struct SharedAdmission(AtomicU8);

impl SharedAdmission {
    /// What is let in now.
    pub fn get(&self) -> Admission {
        match self.0.load(Ordering::Relaxed) {
            0 => Admission::Everything,
            1 => Admission::CancelsOnly,
            _ => Admission::Nothing,
        }
    }

    /// From now on this is let in. Whoever looked before may still act on what it saw.
    pub fn set(&self, admission: Admission) {
        self.0.store(admission as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::command::{
        AddKey, AdminNote, CancelOnDisconnect, CancelOrder, Disconnect, DisconnectReason, Establish, KeyKind,
        KillSwitch, MassCancel, Negotiate, ReplaceOrder, Switch,
    };
    use engine::{
        AccountId, ClientOrderId, InstrumentId, KeyId, LoginNonce, Nanoseconds, OrderId, Price, Quantity, SessionId,
        SessionVersion, Timestamp,
    };

    const ACCOUNT: AccountId = AccountId(2);
    const NAME: ClientOrderId = ClientOrderId(1);
    const NOTE: AdminNote = AdminNote::NONE;

    fn kill_switch(switch: Switch) -> CommandBody {
        KillSwitch { account: ACCOUNT, switch, note: NOTE }.into()
    }

    #[test]
    fn cancels_go_last_and_the_end_of_a_session_always_has_its_place() {
        let version = SessionVersion(1);
        let cancel = CancelOrder {
            account: ACCOUNT,
            order_id: OrderId(1),
            original_client_order_id: ClientOrderId::NONE,
            client_order_id: NAME,
        };
        let mass_cancel = MassCancel {
            account: ACCOUNT,
            instrument: InstrumentId::NONE,
            side: None,
            entered_by: SessionId::NONE,
            client_order_id: NAME,
            note: NOTE,
        };
        let replace = ReplaceOrder {
            account: ACCOUNT,
            order_id: OrderId(1),
            original_client_order_id: ClientOrderId::NONE,
            client_order_id: NAME,
            order_type: None,
            time_in_force: None,
            price: Price(1),
            quantity: Quantity(1),
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        };
        let establish = Establish {
            version,
            nonce: LoginNonce(1),
            cancel_on_disconnect: CancelOnDisconnect::Keep,
            cancel_grace: Nanoseconds(0),
            keep_alive: Nanoseconds(1),
        };
        let add_key = AddKey { key: KeyId(9), kind: KeyKind::Ed25519, public_key: [0; 32], note: NOTE };
        let disconnect = Disconnect { version, reason: DisconnectReason::ConnectionLost };
        let table: [(CommandBody, [bool; 3]); 9] = [
            (replace.into(), [true, false, false]),
            (add_key.into(), [true, false, false]),
            (kill_switch(Switch::Lifted), [true, false, false]),
            (kill_switch(Switch::Engaged), [true, true, false]),
            (cancel.into(), [true, true, false]),
            (mass_cancel.into(), [true, true, false]),
            (Negotiate { version }.into(), [true, true, false]),
            (establish.into(), [true, true, false]),
            (disconnect.into(), [true, true, true]),
        ];
        for (body, expected) in table {
            let all = [Admission::Everything, Admission::CancelsOnly, Admission::Nothing];
            assert_eq!(all.map(|admission| admission.admits(&body)), expected, "{}", body.name());
        }
    }

    #[test]
    fn what_is_set_is_read() {
        let shared = SharedAdmission::default();
        assert_eq!(shared.get(), Admission::Everything);
        for admission in [Admission::Nothing, Admission::CancelsOnly, Admission::Everything] {
            shared.set(admission);
            assert_eq!(shared.get(), admission);
        }
    }
}
