//! payments-service
