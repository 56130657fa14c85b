//! The program `rialto`.

use std::process::ExitCode;

use venue::arguments::Tool;
use venue::config::{self, ConfigError};
use venue::exit::Exit;
use venue::log::LogFormat;
use venue::{
    admin, audit, console, health, history_tool, journal_tools, log, order, play, record, self_test, serve, top, watch,
};

fn main() -> ExitCode {
    let arguments = match config::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        // Says what is wrong with the command line, or gives the help that was asked for.
        Err(ConfigError::CommandLine(error)) => error.exit(),
        Err(error) => {
            eprintln!("rialto: {error}");
            return Exit::Usage.into();
        }
    };
    // `serve` may be told otherwise; whoever starts first decides.
    log::start(match &arguments.tool {
        Tool::Serve(arguments) => arguments.log,
        _ => LogFormat::Text,
    });
    match arguments.tool {
        Tool::Serve(arguments) => serve::run(&arguments),
        Tool::Health(arguments) => health::run(&arguments),
        Tool::SelfTest(arguments) => self_test::run(&arguments),
        Tool::Config(command) => serve::check(&command),
        Tool::Admin(arguments) => admin::tool::run(&arguments),
        Tool::Console(arguments) => console::tool::run(&arguments),
        Tool::Journal(command) => journal_tools::run(&command),
        Tool::History(command) => history_tool::run(&command),
        Tool::Audit(arguments) => audit::run(&arguments),
        Tool::Order(command) => order::run(&command),
        Tool::Top(arguments) => top::run(&arguments),
        Tool::Watch(arguments) => watch::run(&arguments),
        Tool::Record(arguments) => record::run(&arguments),
        Tool::Play(arguments) => play::run(&arguments),
    }
    .into()
}
