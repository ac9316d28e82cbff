//! The application as its clients see it, in process and with a clock that is moved by hand; TLS on
//! loopback.

mod contract;
mod courtesy;
mod flight;
mod limits;
mod past;
mod policy;
mod rows;
mod search;
mod searches;
mod sensors;
mod sessions;
mod tls;
mod world;
