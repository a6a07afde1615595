import { deepEqual } from "node:assert/strict";
import fc from "fast-check";
import { compileSource } from "../../../../../lib/controller/language/compiler.ts";
import { SourceError } from "../../../../../lib/controller/language/diagnostic.ts";
import { runExpectations } from "../../../../../lib/controller/language/expectations.ts";
import { bookFromSource } from "../../../../../lib/controller/language/rule_book.ts";

function outcomes(rules: string, expectations: string): boolean[] {
  const results = runExpectations(bookFromSource(compileSource(rules)), expectations);
  return results.map(({ passed }) => passed);
}

Deno.test("runExpectations() asks both sides: what the sender cannot know the receiver decides", () => {
  const rules = "tag t\n id 1\n enum 1 in\n enum 2 out\n;\ndrop treq t in;\naccept;";
  const expectations =
    "expect drop udp from tag:out to tag:in\nexpect accept udp from tag:in to tag:out";
  deepEqual(outcomes(rules, expectations), [true, true]);
});

Deno.test("runExpectations() finds members by their addresses and gives strangers the defaults", () => {
  const rules = "tag t\n id 1\n default 5\n;\ncap c\n id 1\n default\n accept teq t 5;\n;\nbreak;";
  const expectations = `member a ip 10.0.0.1 tag t 6
    expect drop udp from 10.0.0.1 to anyone
    expect accept udp from 10.0.0.2 to anyone`;
  deepEqual(outcomes(rules, expectations), [true, true]);
});

Deno.test("runExpectations() sees ports, flags, types, sizes and MACs as described", () => {
  const rules = `accept sport 5 and dport 6 and chr tcp_fin and not chr tcp_syn;
    accept icmp 3 4;
    accept iptos 0xff 8 and framesize 900;
    accept macsrc 02:00:00:00:00:01 and macdest 02:00:00:00:00:02;
    accept chr broadcast;
    accept ztsrc 1111111111;
    accept ethertype ipv6 and ipprotocol 47;
    drop;`;
  const expectations = `member m mac 02:00:00:00:00:01
    expect accept tcp from anyone port 5 to anyone port 6 fin ack
    expect drop   tcp from anyone port 5 to anyone port 6
    expect accept icmp from anyone to anyone type 3 code 4
    expect drop   icmp6 from anyone to anyone type 3 code 5
    expect accept udp from anyone to anyone tos 8 size 900
    expect accept ipv6 from anyone to anyone tos 8 size 900
    expect accept udp from m to 02:00:00:00:00:02
    expect drop   udp from anyone to 02:00:00:00:00:02
    expect accept arp from anyone to anyone
    expect drop   udp from anyone to multicast
    expect accept udp from 1111111111 to anyone
    expect accept ipprotocol 47 from fd00::1 to anyone
    expect drop   ipprotocol 47 from 10.0.0.1 to anyone`;
  deepEqual(outcomes(rules, expectations), new Array(13).fill(true));
});

Deno.test("runExpectations() counts a copy made on the way, and what is redirected is neither", () => {
  const rules = "watch 20 2222222222 dport 1;\nredirect 2222222222 dport 2;\naccept;";
  const expectations = `member w address 2222222222
    expect watch w udp from anyone to anyone port 1
    expect tee w udp from anyone to anyone port 1
    expect accept udp from anyone to anyone port 1
    expect redirect w udp from anyone to anyone port 2
    expect drop udp from anyone to anyone port 2
    expect accept udp from anyone to anyone port 2`;
  deepEqual(outcomes(rules, expectations), [true, false, true, true, false, false]);
});

Deno.test("runExpectations() answers any text with results or a SourceError", () => {
  const book = bookFromSource(
    compileSource("tag t\n id 1\n enum 1 in\n;\naccept teq t in;\naccept;"),
  );
  const anyWord = fc.constantFrom(
    ..."expect accept drop tee member from to port type size tcp udp icmp arp ethertype as".split(
      " ",
    ),
    ..."anyone broadcast tag:in tag:t=1 cap:c 10.0.0.1 fd00::1 1111111111 a ip tag t 1 70000".split(
      " ",
    ),
    ..."syn ipv4 ipv6 ipprotocol code \n \n".split(" "),
  );
  const property = fc.property(fc.array(anyWord, { maxLength: 25 }), (words) => {
    try {
      runExpectations(book, `expect accept udp from anyone to ${words.join(" ")}`);
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
    }
  });
  fc.assert(property, { numRuns: 3_000, seed: 9 });
});
