// Reads records, a line for each: the header `ce_type`, and behind a tab the value.

import { decode } from "./events/index.js";

declare const process: { argv: string[] };
declare const console: { log(text: string): void };

for (const line of process.argv[2].split("\n")) {
  const [eventType, value] = line.split("\t");
  const event = decode(eventType, value ?? null);
  switch (event.type) {
    case "OrderPlacedV1":
      console.log(`${event.value.totalCents} cents`);
      break;
    case "OrderPlacedV2":
      console.log(`${event.value.lines.map((line) => line.sku).join()} by ${event.value.payment.kind}`);
      break;
    case "ParcelSent":
      console.log(`to ${event.value.to.street}`);
      break;
    default:
      console.log(JSON.stringify(event));
  }
}
