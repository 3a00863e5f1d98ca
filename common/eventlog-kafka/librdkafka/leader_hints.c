/* Keeps librdkafka from acting on hints about new leaders (KIP-951).
 *
 * An answer to a fetch may say of some partitions that they have no leader now, as that of a broker
 * does that has just been started again. librdkafka (2.12.1; its issue 5280 is of 2.6.1) counts
 * these among the partitions with a new leader, but fills in only the others. What it then takes
 * for the rest is memory that nobody has written: it reads and writes far outside of its tables of
 * leaders, which may end the process.
 *
 * Nothing is lost with the hints: the error that an answer has beside them makes librdkafka ask for
 * all leaders anew, as it did before there were hints.
 *
 * The linker puts this in the place of rd_kafka_metadata_update_op (`--wrap`, .cargo/config.toml).
 */

/* RD_KAFKA_OP_RES_HANDLED of rd_kafka_op_res_t: the hint is done with, and is freed. */
enum { HANDLED = 1 };

int __wrap_rd_kafka_metadata_update_op(void *client, void *hints);

int __wrap_rd_kafka_metadata_update_op(void *client, void *hints) {
    (void)client;
    (void)hints;
    return HANDLED;
}
