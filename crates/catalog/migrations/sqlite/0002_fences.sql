-- fence: raised by whoever takes an operation in flight over; what reports with an old one changes nothing.
ALTER TABLE idempotency ADD COLUMN fence INTEGER NOT NULL DEFAULT 1;

-- postponed_until: something failed at this upload; until then those who look after uploads pass it over, so that
-- it does not hold up the ones behind it.
ALTER TABLE uploads ADD COLUMN postponed_until INTEGER NOT NULL DEFAULT 0;
