//! Integration tests of insight.

mod addresses;
mod advisories;
mod assets;
mod components;
mod cryptography;
mod drafts;
mod drift;
mod evaluation;
mod exposures;
mod findings;
mod formats;
mod identity;
mod judgements;
mod knowledge;
mod malformed;
mod pack;
mod priority;
mod ranges;
mod recog;
mod retrospect;
mod world;
