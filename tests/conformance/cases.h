/* SPDX-License-Identifier: MIT */
/* The cases of the conformance suite, and what they share. A case gets a fixture that has begun. */
#ifndef DARI_TEST_CASES_H
#define DARI_TEST_CASES_H

#include "conformance/harness.h"

#define CASES(X)                               \
    X(calls_are_answered)                      \
    X(an_address_is_told)                      \
    X(sizes_from_nothing_to_the_limit)         \
    X(one_byte_over_the_limit)                 \
    X(a_call_over_the_servers_limit)           \
    X(a_reply_over_the_clients_limit)          \
    X(a_reply_over_the_servers_limit)          \
    X(deadline_of_a_silent_server)             \
    X(deadline_while_sending)                  \
    X(deadline_while_connecting)               \
    X(a_late_reply_is_dropped)                 \
    X(both_sides_full)                         \
    X(replies_that_nobody_reads)               \
    X(a_flood_that_owes_no_answer)             \
    X(half_close_gets_its_replies)             \
    X(a_server_dies_before_it_reads)           \
    X(a_server_dies_before_it_replies)         \
    X(a_server_dies_within_a_reply)            \
    X(a_server_dies_within_a_call)             \
    X(clients_die_at_every_byte)               \
    X(nobody_listens)                          \
    X(an_address_in_use)                       \
    X(descriptors_do_not_leak)                 \
    X(many_connections)                        \
    X(connections_beyond_the_limit_wait)       \
    X(descriptors_run_out)                     \
    X(stop_before_run)                         \
    X(stop_from_a_signal_handler)              \
    X(stop_within_a_pipeline)                  \
    X(listeners_that_cannot_be_watched)        \
    X(a_loop_of_ones_own)                      \
    X(threads_share_a_client)                  \
    X(threads_share_a_dying_client)            \
    X(threads_meet_their_own_deadlines)        \
    X(two_threads_poll)                        \
    X(a_reply_before_the_call_is_sent)         \
    X(replies_behind_one_being_read)           \
    X(a_child_inherits_nothing)                \
    X(an_idle_connection_is_small)             \
    X(handlers_errors_are_mapped)              \
    X(results_outlive_the_client)              \
    X(handlers_answer_later)                   \
    X(replies_go_out_of_order)                 \
    X(answered_before_it_returns)              \
    X(late_answers_fail)                       \
    X(late_answers_to_nobody)                  \
    X(destroyed_before_an_answer)              \
    X(destroyed_during_an_answer)              \
    X(borrowed_arguments_are_kept)             \
    X(workers_serve_in_parallel)               \
    X(workers_answer_everybody)                \
    X(workers_meet_dying_clients)              \
    X(workers_stop_and_go_on)                  \
    X(workers_rest_once_stopped)               \
    X(calls_in_flight_are_limited)             \
    X(all_calls_in_flight_are_limited)         \
    X(finish_waits_for_answers)                \
    X(finish_has_a_deadline)                   \
    X(finish_from_a_signal_handler)            \
    X(connections_per_peer_are_limited)        \
    X(idle_connections_end)                    \
    X(a_first_call_is_awaited)                 \
    X(interceptors_are_asked_and_told)         \
    X(requests_are_asked_about)                \
    X(cancelled_before_the_call)               \
    X(cancelled_while_waiting)                 \
    X(cancelled_while_sending)                 \
    X(cancelled_while_another_receives)        \
    X(cancelled_from_a_signal_handler)         \
    X(a_reply_or_a_cancel)                     \
    X(a_flight_behind_a_reply_being_read)      \
    X(replies_behind_a_full_dispatch)          \
    X(a_reply_in_flight_over_the_limit)        \
    X(started_calls_are_answered)              \
    X(a_thousand_in_flight)                    \
    X(answers_out_of_order)                    \
    X(deadlines_of_calls_in_flight)            \
    X(calls_in_flight_are_cancelled)           \
    X(a_full_output)                           \
    X(room_that_cannot_be_watched_for)         \
    X(a_peer_dies_with_many_in_flight)         \
    X(a_client_closes_with_many)               \
    X(a_client_in_a_loop)                      \
    X(calls_within_callbacks)                  \
    X(threads_start_and_call)                  \
    X(a_loop_beside_other_threads)             \
    X(calls_one_way)                           \
    X(calls_are_counted)                       \
    X(failures_of_clients_are_counted)         \
    X(calls_in_flight_are_counted)             \
    X(one_way_calls_are_counted)               \
    X(late_answers_are_counted)                \
    X(answers_to_nobody_are_counted)           \
    X(connections_are_counted)                 \
    X(every_reading_adds_up)                   \
    X(a_flood_of_garbage)                      \
    X(a_flood_of_failures)                     \
    X(lines_left_out_at_the_end)               \
    X(a_handler_calls_its_caller)              \
    X(calls_do_not_hold_back_answers)          \
    X(a_handler_in_the_loop_starts_calls)      \
    X(one_loop_for_both_sides)                 \
    X(a_server_calls_from_its_own_threads)     \
    X(both_sides_call_at_once)                 \
    X(deadlines_of_calls_to_clients)           \
    X(a_called_client_goes)                    \
    X(a_calling_server_goes)                   \
    X(the_server_of_a_client_goes)             \
    X(a_client_that_serves_connects_again)     \
    X(a_client_serves_by_the_wire)             \
    X(a_server_calls_by_the_wire)              \
    X(what_cannot_call_back_says_so)           \
    X(a_finish_waits_for_callers)              \
    X(a_stop_waits_for_no_caller)              \
    X(calls_that_nobody_takes_are_refused)     \
    X(both_sides_full_never_lock)              \
    X(many_calls_wait_for_their_caller)        \
    X(many_calls_in_the_loop_call_back)        \
    X(calls_to_a_peer_that_reads_nothing)      \
    X(a_stop_ends_the_wait_for_all)            \
    X(a_child_calls_neither_way)               \
    X(a_caller_that_sends_no_more)             \
    X(answers_stay_on_their_connection)        \
    X(calls_of_lost_connections_are_dropped)   \
    X(calls_beyond_the_limit_are_refused)      \
    X(calls_beyond_all_limits_are_refused)     \
    X(refusals_that_nobody_reads_are_limited)  \
    X(limits_of_a_client_that_serves)          \
    X(who_waits_for_a_peer_is_not_idle)        \
    X(a_server_comes_back)                     \
    X(a_call_right_after_the_loss)             \
    X(calls_wait_for_the_server)               \
    X(a_deadline_without_a_server)             \
    X(cancelled_without_a_server)              \
    X(attempts_back_off)                       \
    X(the_first_attempt_is_made_at_once)       \
    X(a_server_that_ends_connections)          \
    X(calls_that_were_sent_are_not_repeated)   \
    X(a_late_reply_before_the_end)             \
    X(who_waits_learns_of_the_next_attempt)    \
    X(calls_in_flight_wait_for_the_server)     \
    X(a_loop_connects_again)                   \
    X(the_ends_of_calls_that_wait)             \
    X(large_calls_without_a_connection)        \
    X(connecting_blocks_nobody)                \
    X(one_way_calls_connect_again)             \
    X(one_way_calls_begun_offline)             \
    X(threads_share_a_client_that_reconnects)  \
    X(the_highest_common_version)              \
    X(versions_of_silent_servers)              \
    X(interceptors_of_a_client)                \
    X(interceptors_refuse_calls)               \
    X(interceptors_are_told_of_failures)       \
    X(idempotent_calls_are_repeated)           \
    X(idempotent_calls_in_flight_are_repeated) \
    X(repeated_calls_keep_their_order)         \
    X(large_calls_are_kept_whole)              \
    X(repeats_are_limited)                     \
    X(an_idempotent_call_without_a_server)     \
    X(a_rejection_after_a_repeat)              \
    X(threads_repeat_calls)                    \
    X(idle_connections_have_no_buffers)        \
    X(large_results_outlive_the_client)        \
    X(large_results_behind_each_other)         \
    X(opaques_of_many_sizes)                   \
    X(opaques_answered_later)                  \
    X(opaques_for_workers)                     \
    X(opaques_in_flight)                       \
    X(a_slow_server_gets_every_byte)           \
    X(a_slow_client_gets_every_byte)           \
    X(a_slow_client_of_workers)                \
    X(kept_calls_go_out_in_order)              \
    X(kept_calls_are_sent_once)                \
    X(a_connection_that_nobody_wants)          \
    X(versions_share_a_deadline)               \
    X(repeated_calls_are_counted_once)         \
    X(calls_carry_auth_sys)                    \
    X(the_largest_auth_sys)                    \
    X(auth_sys_over_its_limits)                \
    X(no_auth_sys_unless_asked_for)            \
    X(auth_sys_of_this_process)

/* Those that need no stream and no connection: what there is to messages that are lost, doubled or
 * overtaken is in udp_test.c. */
#define DATAGRAM_CASES(X)               \
    X(calls_are_answered)               \
    X(an_address_is_told)               \
    X(deadline_of_a_silent_server)      \
    X(a_late_reply_is_dropped)          \
    X(an_address_in_use)                \
    X(many_connections)                 \
    X(stop_before_run)                  \
    X(stop_from_a_signal_handler)       \
    X(threads_meet_their_own_deadlines) \
    X(a_child_inherits_nothing)         \
    X(handlers_errors_are_mapped)       \
    X(answered_before_it_returns)       \
    X(finish_from_a_signal_handler)     \
    X(cancelled_before_the_call)        \
    X(cancelled_while_waiting)          \
    X(cancelled_while_another_receives) \
    X(cancelled_from_a_signal_handler)  \
    X(a_reply_or_a_cancel)              \
    X(a_thousand_in_flight)             \
    X(deadlines_of_calls_in_flight)     \
    X(calls_in_flight_are_cancelled)    \
    X(a_client_closes_with_many)        \
    X(a_client_in_a_loop)               \
    X(threads_start_and_call)           \
    X(calls_one_way)                    \
    X(calls_are_counted)                \
    X(failures_of_clients_are_counted)  \
    X(calls_in_flight_are_counted)      \
    X(one_way_calls_are_counted)        \
    X(late_answers_are_counted)         \
    X(every_reading_adds_up)            \
    X(a_flood_of_failures)              \
    X(lines_left_out_at_the_end)        \
    X(calls_carry_auth_sys)             \
    X(the_largest_auth_sys)             \
    X(auth_sys_over_its_limits)         \
    X(no_auth_sys_unless_asked_for)     \
    X(auth_sys_of_this_process)

/* Those that need one connection, and none again. */
#define SINGLE_CASES(X)                    \
    X(calls_are_answered)                  \
    X(sizes_from_nothing_to_the_limit)     \
    X(one_byte_over_the_limit)             \
    X(a_call_over_the_servers_limit)       \
    X(a_reply_over_the_clients_limit)      \
    X(a_reply_over_the_servers_limit)      \
    X(deadline_of_a_silent_server)         \
    X(deadline_while_sending)              \
    X(a_late_reply_is_dropped)             \
    X(both_sides_full)                     \
    X(a_flood_that_owes_no_answer)         \
    X(half_close_gets_its_replies)         \
    X(a_server_dies_before_it_reads)       \
    X(a_server_dies_before_it_replies)     \
    X(a_server_dies_within_a_reply)        \
    X(a_server_dies_within_a_call)         \
    X(stop_before_run)                     \
    X(stop_from_a_signal_handler)          \
    X(stop_within_a_pipeline)              \
    X(a_loop_of_ones_own)                  \
    X(threads_share_a_client)              \
    X(threads_share_a_dying_client)        \
    X(threads_meet_their_own_deadlines)    \
    X(a_reply_before_the_call_is_sent)     \
    X(replies_behind_one_being_read)       \
    X(a_child_inherits_nothing)            \
    X(an_idle_connection_is_small)         \
    X(handlers_errors_are_mapped)          \
    X(results_outlive_the_client)          \
    X(handlers_answer_later)               \
    X(replies_go_out_of_order)             \
    X(answered_before_it_returns)          \
    X(late_answers_fail)                   \
    X(destroyed_before_an_answer)          \
    X(borrowed_arguments_are_kept)         \
    X(workers_serve_in_parallel)           \
    X(workers_stop_and_go_on)              \
    X(workers_rest_once_stopped)           \
    X(all_calls_in_flight_are_limited)     \
    X(finish_has_a_deadline)               \
    X(finish_from_a_signal_handler)        \
    X(interceptors_are_asked_and_told)     \
    X(requests_are_asked_about)            \
    X(cancelled_before_the_call)           \
    X(cancelled_while_waiting)             \
    X(cancelled_while_sending)             \
    X(cancelled_while_another_receives)    \
    X(cancelled_from_a_signal_handler)     \
    X(a_reply_or_a_cancel)                 \
    X(a_flight_behind_a_reply_being_read)  \
    X(replies_behind_a_full_dispatch)      \
    X(a_reply_in_flight_over_the_limit)    \
    X(started_calls_are_answered)          \
    X(a_thousand_in_flight)                \
    X(answers_out_of_order)                \
    X(deadlines_of_calls_in_flight)        \
    X(calls_in_flight_are_cancelled)       \
    X(a_full_output)                       \
    X(room_that_cannot_be_watched_for)     \
    X(a_peer_dies_with_many_in_flight)     \
    X(a_client_closes_with_many)           \
    X(a_client_in_a_loop)                  \
    X(calls_within_callbacks)              \
    X(threads_start_and_call)              \
    X(a_loop_beside_other_threads)         \
    X(calls_one_way)                       \
    X(calls_are_counted)                   \
    X(failures_of_clients_are_counted)     \
    X(calls_in_flight_are_counted)         \
    X(one_way_calls_are_counted)           \
    X(late_answers_are_counted)            \
    X(answers_to_nobody_are_counted)       \
    X(every_reading_adds_up)               \
    X(a_flood_of_failures)                 \
    X(lines_left_out_at_the_end)           \
    X(a_handler_calls_its_caller)          \
    X(calls_do_not_hold_back_answers)      \
    X(a_handler_in_the_loop_starts_calls)  \
    X(one_loop_for_both_sides)             \
    X(a_server_calls_from_its_own_threads) \
    X(both_sides_call_at_once)             \
    X(deadlines_of_calls_to_clients)       \
    X(a_called_client_goes)                \
    X(a_calling_server_goes)               \
    X(the_server_of_a_client_goes)         \
    X(a_client_serves_by_the_wire)         \
    X(a_server_calls_by_the_wire)          \
    X(what_cannot_call_back_says_so)       \
    X(a_finish_waits_for_callers)          \
    X(a_stop_waits_for_no_caller)          \
    X(calls_that_nobody_takes_are_refused) \
    X(both_sides_full_never_lock)          \
    X(many_calls_wait_for_their_caller)    \
    X(many_calls_in_the_loop_call_back)    \
    X(calls_to_a_peer_that_reads_nothing)  \
    X(the_highest_common_version)          \
    X(versions_of_silent_servers)          \
    X(interceptors_of_a_client)            \
    X(interceptors_refuse_calls)           \
    X(interceptors_are_told_of_failures)   \
    X(idle_connections_have_no_buffers)    \
    X(large_results_behind_each_other)     \
    X(opaques_of_many_sizes)               \
    X(opaques_answered_later)              \
    X(opaques_for_workers)                 \
    X(opaques_in_flight)                   \
    X(a_slow_server_gets_every_byte)       \
    X(a_slow_client_gets_every_byte)       \
    X(a_slow_client_of_workers)            \
    X(versions_share_a_deadline)           \
    X(calls_carry_auth_sys)                \
    X(the_largest_auth_sys)                \
    X(auth_sys_over_its_limits)            \
    X(no_auth_sys_unless_asked_for)        \
    X(auth_sys_of_this_process)

#define DECLARE_CASE(name) void name(test_fixture *fixture);
CASES(DECLARE_CASE)
#undef DECLARE_CASE

/* `size` bytes of a pattern; the caller frees them. */
uint8_t *pattern(size_t size);

/* Calls that must succeed. */
void check_echo(dari_client *client, size_t size);
void check_add(dari_client *client);

/* The call's message is the fixture's address and `rest`. */
void check_message(test_fixture *fixture, dari_call *call, const char *rest);

/* Runs in a child, and expects 0; otherwise it returns the line that failed. */
void check_child(int (*child)(test_fixture *), test_fixture *fixture);

/* One round of a loop of our own: true where the server had something to do. */
bool step(dari_server *server, int milliseconds);

/* Commits an echo call of `size` bytes on a raw connection. */
void queue_echo(di_connection *peer, uint32_t xid, uint32_t size);

#endif
