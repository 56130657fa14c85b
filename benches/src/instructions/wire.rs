//! Messages to frames and back.

use std::hint::black_box;

use wire::order_entry::{ExecutionReport, NewOrderSingle, OrderEntryMessage};
use wire::{Block, ClientOrderId, ExecType, Flat, Frame, OrderStatus, OrderType, Price, Quantity, Side, TimeInForce};

use super::counted;
use crate::failure::Failure;

fn order() -> NewOrderSingle {
    NewOrderSingle {
        account: wire::AccountId(2),
        security_id: wire::SecurityId(1),
        client_order_id: Some(ClientOrderId(7)),
        price: Some(Price(10_000)),
        order_quantity: Some(Quantity(5)),
        side: Side::Buy,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::GoodTillCancel,
        ..NewOrderSingle::BLANK
    }
}

fn report() -> ExecutionReport {
    ExecutionReport {
        report_number: Some(wire::SessionSequence(9)),
        answered_sequence: Some(wire::SessionSequence(8)),
        account: wire::AccountId(2),
        security_id: wire::SecurityId(1),
        client_order_id: Some(ClientOrderId(7)),
        price: Some(Price(10_000)),
        order_quantity: Some(Quantity(5)),
        leaves_quantity: Quantity(5),
        exec_type: ExecType::New,
        order_status: Some(OrderStatus::New),
        side: Some(Side::Buy),
        ..ExecutionReport::BLANK
    }
}

pub(super) fn encode_order(operations: u32) -> Result<(), Failure> {
    encode(&order(), operations)
}

pub(super) fn encode_report(operations: u32) -> Result<(), Failure> {
    encode(&report(), operations)
}

pub(super) fn decode_order(operations: u32) -> Result<(), Failure> {
    let expected = order();
    decode(
        &expected,
        operations,
        |message| matches!(message, OrderEntryMessage::NewOrderSingle(order) if *order == expected),
    )
}

pub(super) fn decode_report(operations: u32) -> Result<(), Failure> {
    let expected = report();
    decode(
        &expected,
        operations,
        |message| matches!(message, OrderEntryMessage::ExecutionReport(report) if *report == expected),
    )
}

fn encode<M: Flat>(message: &M, operations: u32) -> Result<(), Failure> {
    let mut frame = vec![0; M::FRAME_LENGTH];
    counted(|| {
        for _ in 0..operations {
            wire::encode(black_box(message), &mut frame).expect("the buffer is as long as the frame");
            black_box(&frame);
        }
    });
    Ok(())
}

fn decode<M: Flat>(message: &M, operations: u32, is_right: impl Fn(&OrderEntryMessage) -> bool) -> Result<(), Failure> {
    let mut bytes = vec![0; M::FRAME_LENGTH];
    wire::encode(message, &mut bytes).expect("the buffer is as long as the frame");
    let read = |bytes: &[u8]| {
        let (frame, _) = Frame::split(bytes).expect("a frame");
        OrderEntryMessage::try_from(frame).expect("a message")
    };
    assert!(is_right(&read(&bytes)), "what was encoded is decoded");
    counted(|| {
        for _ in 0..operations {
            black_box(read(black_box(&bytes)));
        }
    });
    Ok(())
}
