//! The suite of casework. Every test of the store runs on SQLite and, where PostgreSQL's server is
//! installed, on a throw-away cluster of it.

mod audit;
mod cases;
mod figures;
mod findings;
mod gpg;
mod jobs;
mod killed;
mod mail;
mod notices;
mod people;
mod postgres;
mod providers;
mod registries;
mod retention;
mod retrospect;
mod schema;
mod searches;
mod sensors;
mod smtp;
mod world;
