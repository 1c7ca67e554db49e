//! Errors as containerd sees them: a gRPC code and one line. Must never lose the line, which is all that users get.

use pinnace::error::{Error, Kind};
use ttrpc::{Code, get_status};

/// Refuses a call.
pub(crate) fn refuse(code: Code, text: impl Into<String>) -> ttrpc::Error {
    ttrpc::Error::RpcStatus(get_status(code, text.into()))
}

/// An error of the library, under the code that containerd decides by.
pub(crate) fn failed(error: &Error) -> ttrpc::Error {
    let code = match error.kind() {
        Kind::Invalid => Code::INVALID_ARGUMENT,
        // To containerd a process that is gone is not found.
        Kind::NotFound | Kind::NotRunning => Code::NOT_FOUND,
        Kind::Exists => Code::ALREADY_EXISTS,
        Kind::State => Code::FAILED_PRECONDITION,
        _ => Code::UNKNOWN,
    };
    refuse(code, error.to_string())
}

/// An error of the runtime, in the frame that Docker shows to its users.
pub(crate) fn within(verb: &'static str) -> impl Fn(Error) -> ttrpc::Error {
    move |error| {
        let code = if error.kind() == Kind::Exists { Code::ALREADY_EXISTS } else { Code::UNKNOWN };
        refuse(code, error.within(format_args!("OCI runtime {verb} failed")).to_string())
    }
}
