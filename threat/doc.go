// Package threat tells whether what a manufacturer sends is an attack, keeps the
// history of what was found, and scores how well an account is protected.
//
// A [Detector] looks at one input at a time, knowing where it stands in the request
// and, if the caller says so, what it is meant to be. A first pass over the bytes
// lets ordinary text through without allocation. What is left is decoded at most
// three layers deep (percent, HTML entities, \u and \x escapes, overlong UTF-8, NFKC)
// and read by one voice per class of attack. A voice tokenises and judges grammar: a
// quote that ends a string and goes on as SQL is an attack, "O'Brien & Sons" is not.
// Voices add to an anomaly score with a threshold per paranoia level, as in the
// OWASP Core Rule Set; an input below it yields nothing. [Rules] lists what can be said, from
// which level on. A finding points at the bytes as they were sent, through all decodings.
//
// It promises time linear in the input, bounded memory, and evidence of at most 80
// bytes, so that neither the detector nor its log can be turned against the service.
//
// It does not replace safe sinks. Bound SQL parameters, contextual escaping and
// strict types are what stop injection; the detector tells who is trying, and stops
// most of it earlier. It cannot see attacks that are valid business data, such as a
// wrong price, nor ones split over several inputs.
//
//	d, err := threat.NewDetector(threat.DetectorConfig{})
//	...
//	findings := d.Inspect(nil, threat.Input{Name: "q", Value: v, Location: makerguard.InQuery})
package threat
