"""Faults of the publisher: fences, sequence, what is coalesced, what is complete and how fresh it is."""

from tests.mutants.catalogue import Mutant

SCRIPTS = "client/tallygate/scripts/"
TOTALS = "stream/totals/"
PUBLISHER = "tests/integration/totals/test_publisher.py::"
UPKEEP = "tests/integration/totals/test_publisher_upkeep.py::"
UNIT = "tests/unit/stream/totals/test_pending_unit.py::"

FENCE = "if writer and tonumber(writer) > tonumber(ARGV[%d]) then"
ZOMBIE = (f"{PUBLISHER}test_a_zombie_changes_nothing[valkey]",)
PAIRS = tuple(f"{PUBLISHER}test_every_pair_that_a_reader_sees_is_true[{seed}]" for seed in range(6))

MUTANTS = (
    Mutant(f"{SCRIPTS}claim.lua", FENCE % 3, "if false then", "a zombie claims the partition back", ZOMBIE),
    Mutant(f"{SCRIPTS}beat.lua", FENCE % 1, "if false then", "a zombie's heartbeat is answered", ZOMBIE),
    Mutant(
        f"{SCRIPTS}publish.lua", FENCE % 1, "if false then", "a zombie's totals are compared by sequence only", PAIRS
    ),
    Mutant(
        f"{SCRIPTS}beat.lua",
        "if held[3] ~= ARGV[2] then",
        "if false then",
        "a heartbeat does not notice a flush",
        (f"{PUBLISHER}test_nothing_is_complete_until_all_is_back",),
    ),
    Mutant(
        f"{SCRIPTS}publish.lua",
        "if held[3] ~= ARGV[2] then",
        "if false then",
        "a publish call does not notice that the one before it is lost",
        PAIRS,
    ),
    Mutant(
        f"{SCRIPTS}publish.lua",
        "if held[3] == ARGV[3] then",
        "if false then",
        "a call whose answer was lost is taken for a loss of Redis",
        (f"{PUBLISHER}test_an_answer_that_was_lost_is_no_loss[valkey]",),
    ),
    Mutant(
        f"{SCRIPTS}publish.lua",
        "tonumber(known[1]) >= tonumber(version)",
        "false",
        "an older total replaces a newer one",
        (f"{PUBLISHER}test_an_older_total_never_takes_the_place_of_a_newer_one",),
    ),
    Mutant(
        f"{SCRIPTS}publish.lua",
        "      redis.call('DEL', totals)\n      if known[2]",
        "      if known[2]",
        "a whole publication leaves the fields that it does not name",
        (f"{PUBLISHER}test_fields_go[valkey]",),
    ),
    Mutant(
        f"{SCRIPTS}publish.lua",
        "    in_batches('HDEL', totals, dels)\n",
        "",
        "fields of windows that are over stay",
        (f"{PUBLISHER}test_fields_go[valkey]",),
    ),
    Mutant(
        f"{SCRIPTS}publish.lua",
        "    if (whole or #sets == 0) and redis.call('HLEN', totals) == 2 then\n",
        "    if false then\n",
        "a customer without totals is kept for ever",
        (f"{PUBLISHER}test_fields_go[valkey]",),
    ),
    Mutant(
        f"{SCRIPTS}claim.lua",
        "if held[6] and (held[6] ~= ARGV[1] or held[7] ~= ARGV[2]) then",
        "if false then",
        "totals of another number of partitions pass for ours",
        (f"{UPKEEP}test_what_is_held_of_another_number_of_partitions",),
    ),
    Mutant(
        f"{SCRIPTS}configure.lua",
        "if limits == '' then redis.call('HDEL', totals, ':l') else",
        "if limits ~= '' then",
        "a customer keeps limits that went out of the file",
        (f"{UPKEEP}test_limits_follow_the_file",),
    ),
    Mutant(
        f"{SCRIPTS}configure.lua",
        "if alias_of == '' then redis.call('HDEL', totals, ':a') else",
        "if alias_of ~= '' then",
        "an alias that went out of the file is followed",
        (f"{UPKEEP}test_limits_follow_the_file",),
    ),
    Mutant(
        f"{TOTALS}publisher.py",
        "whole = last and flight.complete",
        "whole = last",
        "totals are complete while some are still to come",
        (f"{PUBLISHER}test_nothing_is_complete_until_all_is_back",),
    ),
    Mutant(
        f"{TOTALS}publisher.py",
        "whole = last and flight.complete",
        "whole = flight.complete",
        "the first call of several says that all is in Redis",
        PAIRS,
    ),
    Mutant(
        f"{TOTALS}publisher.py",
        "if commit.version > self._floor and not self._lost",
        "if not self._lost",
        "what was made without knowing of a loss is published",
        (f"{PUBLISHER}test_a_commit_in_flight_at_a_loss_is_not_used",),
    ),
    Mutant(
        f"{TOTALS}publisher.py",
        "(version is None or version < self.published)",
        "False",
        "a loss during the takeover is not noticed",
        (f"{PUBLISHER}test_a_loss_during_the_takeover_is_noticed[valkey]",),
    ),
    Mutant(
        f"{TOTALS}link.py",
        "[str(waiting.version), str(waiting.position), ",
        "[str(waiting.version), str(waiting.position + 1), ",
        "a total claims an event that is not in it",
        PAIRS,
    ),
    Mutant(
        f"{TOTALS}publisher.py",
        "            self._refill(version)  # 2\n",
        "            self._lost = False\n",
        "what Redis lost is not asked for",
        (f"{PUBLISHER}test_a_flush_between_two_calls_is_noticed[valkey]",),
    ),
    Mutant(
        f"{TOTALS}publisher.py",
        "                self._refill(None)\n",
        "                pass\n",
        "with other decimals, totals are not scaled anew",
        (f"{UPKEEP}test_other_decimals_publish_all_again",),
    ),
    Mutant(
        f"{TOTALS}publisher.py",
        "            await self._wake.wait()  # nothing may",
        "            self._link.version = 0  # nothing may",
        "a writer begins before its first commit is in the changelog",
        (f"{UPKEEP}test_nothing_is_written_before_the_first_commit",),
    ),
    Mutant(
        f"{TOTALS}publisher.py",
        "            await self._link.sweep(customer)\n",
        "            pass\n",
        "holds that lapsed are never removed",
        (f"{UPKEEP}test_lapsed_holds_are_swept",),
    ),
    Mutant(
        f"{TOTALS}publisher.py",
        "self._freshness.asked(moment_us, await self._below())",
        "self._freshness.asked(moment_us, min(self.position, await self._below()))",
        "totals are fresh although Kafka has more",
        (f"{UPKEEP}test_freshness_waits_for_what_kafka_had",),
    ),
    Mutant(
        f"{TOTALS}freshness.py",
        "if pair[1] <= position), None)",
        "if pair[1] <= position + 1), None)",
        "one event may be missing from what is fresh",
        (f"{UPKEEP}test_freshness_waits_for_what_kafka_had", f"{UNIT}test_freshness_is_the_newest_moment_reached"),
    ),
    Mutant(
        f"{TOTALS}pending.py",
        "            self.fields = self.fields | newer.fields",
        "            self.fields = newer.fields | self.fields",
        "of two commits that waited, the first one's value wins",
        (f"{UNIT}test_the_last_value_wins_and_settles_add_up",),
    ),
    Mutant(
        f"{TOTALS}pending.py",
        "        self.settles.update(dict.fromkeys(newer.settles))\n",
        "        self.settles = dict.fromkeys(newer.settles)\n",
        "a commit that waited loses the reservations it settled",
        (f"{UNIT}test_the_last_value_wins_and_settles_add_up",),
    ),
    Mutant(
        f"{TOTALS}pending.py",
        "        self.version, self.position = version, position\n",
        "        self.version = version\n",
        "a coalesced total keeps the first commit's position",
        PAIRS,
    ),
)
