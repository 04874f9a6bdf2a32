"""`make live`: one table of cases, sent to the local OSS and to OSS, and what they answer compared."""
