// Generated from openapi.json by `npm run api`. Do not edit.

export interface paths {
    "/api/v1/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The audit trail, newest first. */
        get: operations["audit_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/cases": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Cases, newest first. */
        get: operations["cases_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/cases/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One case with its trail. */
        get: operations["cases_show"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/cases/{id}/ack": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Says that somebody cares for the case. */
        post: operations["cases_acknowledge"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/cases/{id}/close": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Closes the case for a reason that a person gives. */
        post: operations["cases_close"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/cases/{id}/dispute": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Says that the case is not so. */
        post: operations["cases_dispute"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/cases/{id}/recheck": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Asks for the case to be measured again, under the mandate it was found under. */
        post: operations["cases_recheck"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/components": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Every component, by name. */
        get: operations["components_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/components/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who carries a component, `NAME` or `NAME:VERSIONS`. */
        get: operations["components_show"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/findings": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Findings, by key. */
        get: operations["findings_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/findings/{key}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One finding. */
        get: operations["findings_show"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Aggregates for everybody. */
        get: operations["health_show"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/hosts/{addr}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Everything known of one host. */
        get: operations["hosts_show"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/hosts/{addr}/probes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** When an address was asked, and by whom: from coverage, whether it answered or not. */
        get: operations["hosts_probes"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/mandates": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Mandates of the home, by id. */
        get: operations["mandates_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/mandates/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One mandate in plain words. */
        get: operations["mandates_show"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/notices": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Notices, newest first. */
        get: operations["notices_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/notices/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One notice: what it says, before protection. */
        get: operations["notices_show"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/notices/{id}/genuine": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether a mail with this number and digest came from here. Open to everybody; tells nothing else. */
        get: operations["notices_genuine"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/opt-outs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Requests, oldest first. */
        get: operations["opt_outs_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/opt-outs/{id}/decide": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Decides a request: with a proof the prefix is left alone from now on, by every sensor. */
        post: operations["opt_outs_decide"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/overview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The figures of the circle, as far as the caller may see. */
        get: operations["overview_show"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/providers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The provider directory, as far as the caller may see. */
        get: operations["providers_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/retention": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Retention as it stands. */
        get: operations["retention_show"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/search": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Services that a query finds. */
        get: operations["search_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/search/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * All services that a query finds, at most 50,000, with the columns of the table `services`; more are an
         *     error, never a silent cut.
         */
        get: operations["search_export"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/search/facets": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How many services a query finds, by fields. */
        get: operations["search_facets"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/search/fields": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The fields that queries can name. */
        get: operations["search_fields"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/searches": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Saved searches, oldest first. */
        get: operations["searches_list"];
        put?: never;
        /** Saves a search of the caller. What it finds now is its base line. */
        post: operations["searches_save"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/searches/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One saved search with its alerts. */
        get: operations["searches_show"];
        put?: never;
        post?: never;
        /** Deletes a search with its alerts. */
        delete: operations["searches_delete"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/searches/{id}/check": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Looks at the answer now; what is otherwise goes out. */
        post: operations["searches_check"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/searches/{id}/disable": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Silences a search. */
        post: operations["searches_disable"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/searches/{id}/enable": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Lets a search alert again; it tells what came meanwhile. */
        post: operations["searches_enable"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sensor/batches": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Takes batches: verified, committed to the lake once, acknowledged by the answer. */
        post: operations["sensor_batches"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sensor/enrol": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Makes a sensor known by a token that an administrator made; signed with the key it names. */
        post: operations["sensor_enrol"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sensor/jobs/{id}/end": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** The last word on a part of a survey. */
        post: operations["sensor_end"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sensor/jobs/{id}/pulse": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Reports how far it is, and keeps the lease. */
        post: operations["sensor_pulse"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sensor/lease": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** The part of a survey that the sensor holds, or the next that waits for it; null when there is none. */
        post: operations["sensor_lease"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sensor/leave-alone": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Passes on what somebody asked at the sensor's courtesy page. */
        post: operations["sensor_leave_alone"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sensor/papers/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Mandate, revocation list and narrowing list as they lie here; the sensor verifies them. */
        get: operations["sensor_papers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sensors": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Sensors, by id. */
        get: operations["sensors_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sensors/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Makes a token with which one sensor can enrol. */
        post: operations["sensors_token"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sensors/{id}/retire": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Retires a sensor: its key does not count any more. */
        post: operations["sensors_retire"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who is signed in. */
        get: operations["session_show"];
        put?: never;
        /** Begins a session. */
        post: operations["session_sign_in"];
        /** Ends the session. */
        delete: operations["session_sign_out"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/session/password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Changes one's own password. Every session of the person ends but the one that the answer begins: keep its
         *     cookie, and its token.
         */
        put: operations["session_change_password"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sql": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Answers a query as far as the caller may see: rows out of sight are taken away where tables are read. */
        post: operations["sql_ask"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/surveys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Surveys, newest first. */
        get: operations["surveys_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/surveys/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One survey. */
        get: operations["surveys_show"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/surveys/{id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Progress of a survey as server-sent events named `progress`, until it ends. */
        get: operations["surveys_events"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description An alert on its way to one place. */
        AlertDeliveryRow: {
            /**
             * Format: int64
             * @description Attempts begun.
             */
            attempts: number;
            /** @description When it last changed. */
            changed_at: components["schemas"]["Instant"];
            /** @enum {string} */
            channel: "mail" | "webhook";
            /** @description What was said last. */
            detail: string;
            /** @description Message-ID, or the webhook's idempotency key. */
            message_id: string;
            /** @enum {string} */
            state: "queued" | "sending" | "sent" | "failed" | "delivery-uncertain";
            /** @description To where; of others' searches a webhook's host alone. */
            target: string;
        };
        /** @description One alert. */
        AlertRow: {
            /**
             * Format: int64
             * @description Services that came.
             */
            added: number;
            /** @description Id. */
            alert_id: string;
            /** @description When the change was seen. */
            at: components["schemas"]["Instant"];
            /** @description Who was told. */
            deliveries: components["schemas"]["AlertDeliveryRow"][];
            /**
             * Format: int64
             * @description Services that went.
             */
            gone: number;
            /** @description The first of them. */
            items: components["schemas"]["ChangedServiceRow"][];
            /**
             * Format: int64
             * @description Services found then.
             */
            services: number;
            /** @enum {string} */
            turn: "changed" | "reached" | "fell" | "grown";
        };
        /** @description The arm of an experiment. */
        ArmRow: {
            /**
             * Format: int64
             * @description Seconds the first notice waits.
             */
            delay_s: number;
            /** @description The experiment; empty without one. */
            experiment: string;
            /** @description The arm. */
            name: string;
            /** @description Wording of the notice. */
            wording: string;
        };
        /** @description A file that went with a notice. */
        Attachment: {
            /** @description Its name. */
            name: string;
            /** @description Its content. */
            text: string;
        };
        /** @description A page of the audit trail, newest first. */
        AuditPage: {
            /** @description The rows. */
            items: components["schemas"]["AuditRow"][];
            /** @description `after` of the next page. */
            next?: string | null;
        };
        /** @description One entry of the audit trail. */
        AuditRow: {
            /** @description What was done or refused. */
            action: string;
            /** @description Name of the person, or of the rule. */
            actor: string;
            /** @description When. */
            at: components["schemas"]["Instant"];
            /** @description Details, as JSON text. */
            detail: string;
            /** @description Hash of this entry, which covers the one before. */
            hash: string;
            /** @description To what. */
            object: string;
            /**
             * Format: int64
             * @description From 1, without gaps.
             */
            seq: number;
        };
        /** @description A device that carries a component. */
        CarrierRow: {
            /** @description Where it was last seen. */
            addr: string;
            /** @description The device. */
            asset_id: string;
            /** @description `visible`, `known` or `inferred`. */
            certainty: string;
            /**
             * Format: int32
             * @description Percent.
             */
            confidence: number;
            /** @description What it stands on. */
            evidence: components["schemas"]["GroundRow"][];
            /** @description When it was last seen. */
            last_at: components["schemas"]["Instant"];
            /** @description Vendor and product, when known: hostile text. */
            product?: string | null;
            /** @description Its version, when shown: hostile text. */
            product_version?: string | null;
            /** @description Version of the component; none when it is not known. */
            version?: string | null;
            /** @description True when the version is one of those asked for. */
            version_sure: boolean;
        };
        /** @description One case. */
        CaseDetail: {
            actions: ("ack" | "dispute" | "close" | "recheck")[];
            arm?: components["schemas"]["ArmRow"] | null;
            /** @description The row of the list. */
            case: components["schemas"]["CaseRow"];
            close_reasons: ("remedied" | "exposure-ended" | "false-positive" | "withdrawn" | "accepted-risk" | "retired" | "no-addressee")[];
            /** @description Its findings. */
            findings: components["schemas"]["FindingRow"][];
            /** @description Notices about it, oldest first. */
            notices: components["schemas"]["NoticeRow"][];
            /** @description For `elsewhere`: whether the weakness was seen there. */
            still_affected?: boolean | null;
            /** @description The immutable subject: what was seen first. */
            subject: components["schemas"]["SubjectRow"];
            /** @description What happened, oldest first. */
            trail: components["schemas"]["TrailRow"][];
        };
        /** @description Cases now. */
        CaseFigures: {
            /** @description By condition. */
            condition: {
                [key: string]: number;
            };
            /** @description From the first notice to remedied. */
            notice_to_remedy: components["schemas"]["Median"];
            /**
             * Format: int64
             * @description Cases notified at least once: the denominator of recovery.
             */
            notified: number;
            /** @description What became of the notified ones, by closing reason, or by condition while not closed. */
            outcome: {
                [key: string]: number;
            };
            /** @description Closed ones by reason. */
            reason: {
                [key: string]: number;
            };
            /**
             * Format: int64
             * @description Cases that came back at least once.
             */
            relapsed: number;
            /** @description By stage. */
            stage: {
                [key: string]: number;
            };
            /**
             * Format: int64
             * @description Cases so far.
             */
            total: number;
        };
        /** @description A page of cases. */
        CasePage: {
            /** @description The rows. */
            items: components["schemas"]["CaseRow"][];
            /** @description `after` of the next page. */
            next?: string | null;
        };
        /** @description One case in a list. */
        CaseRow: {
            /** @description Id. */
            case_id: string;
            /** @enum {string} */
            close_reason?: "remedied" | "exposure-ended" | "false-positive" | "withdrawn" | "accepted-risk" | "retired" | "no-addressee";
            closed_at?: components["schemas"]["Instant"] | null;
            /** @enum {string} */
            condition: "affected" | "clean" | "service-gone" | "unobservable" | "elsewhere" | "replaced";
            /** @description Where it was last seen. */
            endpoint: string;
            /**
             * Format: int64
             * @description Third axis: counts relapses from 1.
             */
            episode: number;
            /**
             * Format: int64
             * @description Findings attached.
             */
            findings: number;
            judged_at?: components["schemas"]["Instant"] | null;
            notified_at?: components["schemas"]["Instant"] | null;
            /** @description When the current or last episode was opened. */
            opened_at: components["schemas"]["Instant"];
            /** @enum {string} */
            priority?: "track" | "track-closely" | "attend" | "act";
            /** @description Vendor and product, when known. */
            product?: string | null;
            provider?: components["schemas"]["ProviderRef"] | null;
            /** @enum {string} */
            remedy: "change-password" | "update" | "replace" | "close-service" | "clean";
            /** @enum {string} */
            severity: "low" | "medium" | "high" | "critical";
            /** @enum {string} */
            stage: "open" | "notified" | "acknowledged" | "disputed" | "closed";
        };
        /** @description A count that is withheld when it is small. */
        Cell: {
            /**
             * Format: int64
             * @description The count; absent when withheld.
             */
            count?: number | null;
        };
        /** @description A service that came or went. What it says of itself is hostile text. */
        ChangedServiceRow: {
            /** @description Address. */
            addr: string;
            /** @description It went; else it came. */
            gone: boolean;
            /**
             * Format: int32
             * @description Port.
             */
            port: number;
            /** @description What it was taken for. */
            product?: string | null;
            /** @description What it speaks, when that is known. */
            protocol?: string | null;
            /** @description What it says. */
            says?: string | null;
            /** @description `tcp` or `udp`. */
            transport: string;
        };
        /** @description One attribute of an identity. */
        ClaimRow: {
            /** @description `vendor`, `product`, `version`, `device-type`, `cpe` or `component`. */
            attribute: string;
            /**
             * Format: int32
             * @description Percent.
             */
            confidence: number;
            /** @description Which fingerprint said so and from which field. */
            reason: string;
            /** @description The value: hostile text. */
            value: string;
        };
        /** @description How a case is to be closed. */
        Close: {
            /** @description In words. */
            note?: string;
            /** @enum {string} */
            reason: "remedied" | "exposure-ended" | "false-positive" | "withdrawn" | "accepted-risk" | "retired" | "no-addressee";
        };
        /** @description Who carries a component. */
        ComponentDetail: {
            /** @description How many carry it: `visible`, `known`, `inferred`. */
            by_certainty: {
                [key: string]: number;
            };
            /** @description The component as it was asked for. */
            component: string;
            /** @description Of how many it is not known. */
            gaps: components["schemas"]["GapsRow"];
            /** @description Devices that carry it, the surest first. */
            items: components["schemas"]["CarrierRow"][];
            /**
             * Format: int64
             * @description Carriers that are counted and not listed.
             */
            left_out: number;
            /** @description Whether somebody mends it. */
            maintenance: components["schemas"]["MaintenanceRow"];
            /** @description The versions asked for. */
            versions?: string | null;
        };
        /** @description Every component that devices carry, as they were last seen. */
        ComponentList: {
            /**
             * Format: int64
             * @description Devices looked at.
             */
            assets: number;
            /**
             * Format: int64
             * @description Of these, devices of which no component is known: not devices without any.
             */
            bare: number;
            /** @description By name. */
            items: components["schemas"]["ComponentRow"][];
        };
        /** @description One component. */
        ComponentRow: {
            /** @description When the first of the devices was first seen. */
            first_at: components["schemas"]["Instant"];
            /**
             * Format: int64
             * @description Devices of whose family it is said.
             */
            inferred: number;
            /** @description What it is asked for by. */
            key: string;
            /**
             * Format: int64
             * @description Devices of which a bill of materials or a list says so.
             */
            known: number;
            /** @description When the last of them was last seen. */
            last_at: components["schemas"]["Instant"];
            /** @description Whether somebody mends it. */
            maintenance: components["schemas"]["MaintenanceRow"];
            /** @description Its name: hostile text. */
            name: string;
            /** @description What it does, for those that are catalogued. */
            role?: string | null;
            /** @description Versions, at most 20: hostile text. */
            versions: string[];
            /**
             * Format: int64
             * @description Devices that show it.
             */
            visible: number;
        };
        /** @description A decision. */
        Decision: {
            /** @description Reference to what showed that the prefix is the requester's; left out to decline. */
            proof?: string | null;
        };
        /** @description One step of a delivery. */
        Delivery: {
            /** @description When. */
            at: components["schemas"]["Instant"];
            /** @description What the other side said. */
            detail: string;
            /** @enum {string} */
            state: "queued" | "sending" | "sent" | "failed" | "delivery-uncertain";
        };
        /** @description Something that is due. */
        DueRow: {
            /**
             * Format: int64
             * @description Bytes.
             */
            bytes: number;
            /** @description Class, of blobs. */
            class?: string | null;
            /**
             * Format: int64
             * @description Files.
             */
            files: number;
            /** @description Ids of the holds that keep it nevertheless. */
            held_by: string[];
            /** @description For how long it was to be kept. */
            keep: string;
            /** @description Mandate. */
            mandate_id?: string | null;
            /** @description Month. */
            month?: string | null;
            /**
             * Format: int64
             * @description Rows.
             */
            rows: number;
            /** @description Table. */
            table: string;
        };
        /** @description An erasure under way. */
        ErasureRow: {
            /** @description Its id. */
            erasure_id: string;
            /** @description When it was written down. */
            intended_at: components["schemas"]["Instant"];
            removed_at?: components["schemas"]["Instant"] | null;
            /** @description How far it has come. */
            state: string;
        };
        /** @description A pointer to the bytes a finding stands on. */
        EvidenceRow: {
            /** @description When. */
            at: components["schemas"]["Instant"];
            /** @description Digests of the bodies kept. */
            blobs: string[];
            /** @description Endpoint observed. */
            endpoint: string;
            /** @description Field that was decisive. */
            field: string;
            /** @description Survey of the observation. */
            survey_id: string;
            /** @description Its value as it was received: hostile text. */
            value: string;
        };
        /** @description Counts by field. */
        FacetList: {
            /** @description One for each field asked for, in that order. */
            facets: components["schemas"]["FacetRow"][];
            known_by?: components["schemas"]["Instant"] | null;
            /** @description How much the query finds in all. */
            total: components["schemas"]["SearchTotal"];
        };
        /** @description How many services have which value of a field. */
        FacetRow: {
            /** @description The field. */
            field: string;
            /**
             * Format: int64
             * @description How many further values there are.
             */
            more: number;
            /** @description The most frequent values, most frequent first. */
            values: components["schemas"]["FacetValueRow"][];
        };
        /** @description One value. */
        FacetValueRow: {
            /**
             * Format: int64
             * @description Services that have it.
             */
            count: number;
            /** @description The value: hostile text; a day, UTC, for instants. */
            value: string;
        };
        /** @description The fields that queries can name. */
        FieldList: {
            /** @description One a field. */
            items: components["schemas"]["FieldRow"][];
        };
        /** @description One field. */
        FieldRow: {
            /** @description Services can be counted by it. */
            countable: boolean;
            /** @description An example, as it is written in a query. */
            example: string;
            /** @description `network`, `number`, `word`, `text`, `version`, `time` or `time-to-come`. */
            kind: string;
            /** @description What it means. */
            meaning: string;
            /** @description Its name. */
            name: string;
            /** @description Other names for it. */
            synonyms: string[];
            /** @description Every word it knows, where that is a closed list. */
            words: string[];
        };
        /** @description One finding. */
        FindingDetail: {
            /** @description What to do, in the language asked for. */
            advice?: string | null;
            /** @description Its arguments, as they were observed: text, never markup. */
            args: {
                [key: string]: string;
            };
            /** @description The device. */
            asset_id: string;
            /** @description Message code of the explanation. */
            code: string;
            /** @description What it stands on. */
            evidence: components["schemas"]["EvidenceRow"][];
            /** @description The explanation in the language asked for. */
            explanation: string;
            /** @description The row of the list. */
            finding: components["schemas"]["FindingRow"];
            /** @description What the device was taken for, attribute by attribute; empty: unknown. */
            identity: components["schemas"]["ClaimRow"][];
            /** @description Why the priority is what it is, question by question; empty for findings of earlier builds. */
            priority: components["schemas"]["QuestionRow"][];
            /** @description Intelligence snapshots it stands on. */
            snapshots: string[];
            /** @description Why it matters, in the language asked for. */
            why?: string | null;
        };
        /** @description A page of findings. */
        FindingPage: {
            /** @description The rows. */
            items: components["schemas"]["FindingRow"][];
            /** @description `after` of the next page. */
            next?: string | null;
        };
        /** @description One finding in a list. */
        FindingRow: {
            /** @description Case it is attached to. */
            case_id?: string | null;
            /**
             * Format: int32
             * @description Percent.
             */
            confidence: number;
            /** @description Where it shows. */
            endpoint: string;
            /** @description When it was first seen. */
            first_at: components["schemas"]["Instant"];
            /**
             * Format: int64
             * @description First round in which it held.
             */
            first_round: number;
            /** @description Stable key. */
            key: string;
            /** @enum {string} */
            kind: "telnet-open" | "default-credentials" | "admin-open" | "known-exploited" | "end-of-life" | "anonymous-ftp" | "anonymous-mqtt" | "broken-tls" | "database-open" | "adb-open" | "screen-open" | "snmp-public" | "open-resolver" | "amplifier" | "controller-exposed" | "smb1" | "cwmp-exposed" | "rdp-without-nla" | "weak-ssh" | "shared-key" | "unmaintained-component" | "altered-content";
            /** @description When it was last seen. */
            last_at: components["schemas"]["Instant"];
            /**
             * Format: int64
             * @description Newest round in which it held.
             */
            last_round: number;
            /** @enum {string} */
            priority?: "track" | "track-closely" | "attend" | "act";
            /** @description Vendor and product, when known. */
            product?: string | null;
            provider?: components["schemas"]["ProviderRef"] | null;
            /** @enum {string} */
            remedy: "change-password" | "update" | "replace" | "close-service" | "clean";
            /** @enum {string} */
            severity: "low" | "medium" | "high" | "critical";
            /** @enum {string} */
            state: "present" | "absent" | "withdrawn";
        };
        /** @description Of how many devices it is not known whether they carry a component. */
        GapsRow: {
            /**
             * Format: int64
             * @description Devices asked about.
             */
            assets: number;
            /**
             * Format: int64
             * @description They carry it, in the version asked for or in one that is not known.
             */
            carriers: number;
            /**
             * Format: int64
             * @description They carry it in another version.
             */
            other_version: number;
            /**
             * Format: int64
             * @description Not identified.
             */
            unidentified: number;
            /**
             * Format: int64
             * @description Identified, and nothing is known of what they contain.
             */
            unlearned: number;
            /**
             * Format: int64
             * @description A bill of materials of their product and version does not list it.
             */
            unlisted: number;
        };
        /** @description Whether a mail is genuine. */
        Genuine: {
            /** @description True when a notice with this id and digest was written here. */
            genuine: boolean;
        };
        /** @description What a statement about a device's component stands on. */
        GroundRow: {
            /** @description `shown`, `sbom`, `list` or `csaf`. */
            by: string;
            /** @description The intelligence snapshot that holds the document. */
            snapshot?: string | null;
            /** @description The bytes as text, or the document: hostile text. */
            text?: string | null;
            /** @description Fingerprint, field and port; or the products that a document speaks of. */
            what: string;
        };
        /** @description What everybody may know. */
        Health: {
            /** @description When the figures were computed. */
            as_of: components["schemas"]["Instant"];
            /** @description Devices with a weakness of each kind in the newest round. */
            kinds: components["schemas"]["PublicKind"][];
            /** @description Name of the observatory's organisation. */
            organisation: string;
            /** @description What became of the cases that providers were notified of. */
            outcome: components["schemas"]["PublicOutcome"];
            /** @description Rounds, oldest first. */
            rounds: components["schemas"]["PublicRound"][];
            /**
             * Format: int64
             * @description Counts below this are not published.
             */
            threshold: number;
        };
        /** @description A hold in force. */
        HoldRow: {
            /** @description Since when. */
            created_at: components["schemas"]["Instant"];
            /** @description From this month on. */
            from?: string | null;
            /** @description Its id. */
            hold_id: string;
            /** @description Of this mandate. */
            mandate_id?: string | null;
            /** @description About addresses in this prefix. */
            prefix?: string | null;
            /** @description Why. */
            reason: string;
            /** @description Of this survey. */
            survey_id?: string | null;
            /** @description To this month. */
            to?: string | null;
        };
        /** @description One host through time. */
        HostDetail: {
            /** @description Address. */
            addr: string;
            /** @description As they were before, oldest first: one for each time something changed, the last 1,000. */
            before: components["schemas"]["Service"][];
            /**
             * Format: int64
             * @description How many there were before those; left out when none.
             */
            before_more?: number | null;
            /** @description Cases at this address. */
            cases: components["schemas"]["CaseRow"][];
            /** @description Findings at this address. */
            findings: components["schemas"]["FindingRow"][];
            /** @description What it was taken for, with reasons; empty: unknown. */
            identity: components["schemas"]["ClaimRow"][];
            known_by?: components["schemas"]["Instant"] | null;
            /** @description Its services as they were when they were last asked, the first 1,000. */
            now: components["schemas"]["Service"][];
            /**
             * Format: int64
             * @description How many further services it has; left out when none.
             */
            now_more?: number | null;
        };
        /**
         * Format: date-time
         * @description RFC 3339, UTC
         */
        Instant: string;
        /** @description A key that identifies a device. */
        KeyRow: {
            /** @description Kind of key. */
            kind: string;
            /** @description Its value. */
            value: string;
        };
        /** @description Findings of one kind. */
        KindRow: {
            /**
             * Format: int64
             * @description Devices that show them.
             */
            assets: number;
            /**
             * Format: int64
             * @description Findings that hold.
             */
            findings: number;
            /** @enum {string} */
            kind: "telnet-open" | "default-credentials" | "admin-open" | "known-exploited" | "end-of-life" | "anonymous-ftp" | "anonymous-mqtt" | "broken-tls" | "database-open" | "adb-open" | "screen-open" | "snmp-public" | "open-resolver" | "amplifier" | "controller-exposed" | "smb1" | "cwmp-exposed" | "rdp-without-nla" | "weak-ssh" | "shared-key" | "unmaintained-component" | "altered-content";
        };
        /** @description What a look came to. */
        LookRow: {
            /** @description The alert. */
            alert_id?: string | null;
            /** @enum {string} */
            outcome: "alerted" | "same" | "waiting" | "disabled" | "trouble";
            /**
             * Format: int64
             * @description Services found now, where they were counted.
             */
            services?: number | null;
            waits_until?: components["schemas"]["Instant"] | null;
        };
        /** @description Whether somebody mends a component. */
        MaintenanceRow: {
            /** @description Last day of support, when it is known. */
            since?: string | null;
            /** @description The intelligence snapshot that it stands on. */
            snapshot?: string | null;
            /** @description Who says so. */
            source?: string | null;
            /** @description `maintained`, `unmaintained` or `unknown`. */
            supported: string;
        };
        /** @description One mandate. */
        MandateDetail: {
            /** @description Who issues it. */
            authority: string;
            /** @description Checks granted. */
            checks: string[];
            /**
             * Format: int64
             * @description Seconds of sending that one sweep takes at the mandate's rates.
             */
            duration_s?: number | null;
            /**
             * Format: double
             * @description Exchanges of one sweep.
             */
            exchanges?: number | null;
            /**
             * Format: double
             * @description Addresses of the scope that are excluded.
             */
            excluded: number;
            /** @description The row of the list. */
            mandate: components["schemas"]["MandateRow"];
            /**
             * Format: int64
             * @description Pairs of transport and port.
             */
            ports: number;
            /** @description What it allows, sentence by sentence, in the language asked for. */
            statement: string[];
            /**
             * Format: double
             * @description Addresses a survey goes through; absent when they are too many to enumerate.
             */
            targets?: number | null;
            /** @description The signed text, byte for byte. */
            text: string;
            /** @description Its title. */
            title: string;
        };
        /** @description A page of mandates, newest first. */
        MandatePage: {
            /** @description The rows. */
            items: components["schemas"]["MandateRow"][];
            /** @description `after` of the next page. */
            next?: string | null;
        };
        /** @description One mandate in a list. */
        MandateRow: {
            /** @description SHA-256 of the signed text. */
            digest: string;
            /** @description Whether anything may be sent under it now. */
            in_force: boolean;
            /** @description Its id, with which it is asked for. */
            mandate_id: string;
            /** @description Programme it serves. */
            programme: string;
            /** @description Why not, in the language asked for. */
            refusal?: string | null;
            /** @description Who signed. */
            signers: string[];
            valid_from?: components["schemas"]["Instant"] | null;
            valid_until?: components["schemas"]["Instant"] | null;
            /**
             * Format: int64
             * @description Its version.
             */
            version: number;
        };
        /** @description The person who is signed in. */
        Me: {
            /** @description Actions the role allows. */
            actions: string[];
            /**
             * @description The community outside of the organisation that the person belongs to: of what these mandates brought, as
             *     much is seen as labels let communities see.
             */
            community?: string | null;
            /** @description To be sent as `x-csrf-token` with every request that changes something. */
            csrf: string;
            /** @description When the session ends. */
            expires_at: components["schemas"]["Instant"];
            /** @description Preferred language. */
            language: string;
            /** @description Account name. */
            login: string;
            /** @description Ids of the mandates of which everything is that the person sees; without any, nothing limits it. */
            mandates: string[];
            /** @description The password was given by somebody else: the interface asks for one of the person's own first. */
            must_change: boolean;
            /** @description Name for display. */
            name: string;
            /** @description Organisation, for display. */
            organisation: string;
            /** @enum {string} */
            role: "admin" | "operator" | "analyst" | "provider" | "researcher" | "auditor";
        };
        /** @description A median over those cases where it has happened. */
        Median: {
            /**
             * Format: int64
             * @description Where it has happened.
             */
            count: number;
            /**
             * Format: int64
             * @description Seconds; absent when it never happened.
             */
            median_s?: number | null;
            /**
             * Format: int64
             * @description Where it could have.
             */
            of: number;
        };
        /** @description Estimate of how much of what answers a survey missed, from targets that answered and were asked again. */
        Miss: {
            /**
             * Format: int64
             * @description Answering targets that were asked again.
             */
            asked: number;
            /**
             * Format: int64
             * @description Asks of hosts that the operator knows to be up.
             */
            canary_asked: number;
            /**
             * Format: int64
             * @description Of these, those without an answer.
             */
            canary_missed: number;
            /**
             * Format: double
             * @description Upper end of its 95 % interval.
             */
            high: number;
            /**
             * Format: double
             * @description Lower end of its 95 % interval.
             */
            low: number;
            /**
             * Format: int64
             * @description Of these, those that stayed silent.
             */
            missed: number;
            /**
             * Format: double
             * @description Estimated share, 0 to 1.
             */
            rate: number;
        };
        /** @description A search to be saved. */
        NewSavedSearch: {
            /**
             * Format: int64
             * @description Least seconds between two alerts; an hour when left out.
             */
            interval_s?: number | null;
            /** @description Language of mails; the caller's when left out. */
            language?: string | null;
            /** @description Mail addresses to tell. */
            mails?: string[];
            /** @description What to call it. */
            name: string;
            /** @enum {string} */
            on?: "new" | "gone" | "any" | "count";
            /**
             * @description The query.
             * @example type:camera country:JP
             */
            query: string;
            /**
             * Format: int64
             * @description For `count`: of how many services.
             */
            threshold?: number | null;
            /** @description Address to tell by a signed HTTP request, `https://`. */
            webhook?: string | null;
        };
        /** @description A sensor to be enrolled. */
        NewToken: {
            /** @description What it will be called. */
            name: string;
        };
        /** @description A remark. */
        Note: {
            /** @description What is to be kept with the event. */
            note?: string;
        };
        /** @description One notice. */
        NoticeDetail: {
            /** @description Attachments. */
            attachments: components["schemas"]["Attachment"][];
            /** @description The first 500 of its cases. */
            cases: components["schemas"]["CaseRow"][];
            /** @description What happened to it, oldest first. */
            deliveries: components["schemas"]["Delivery"][];
            /** @description SHA-256 of text and attachments. */
            digest: string;
            /** @description Message-ID, written down before sending. */
            message_id: string;
            /** @description The row of the list. */
            notice: components["schemas"]["NoticeRow"];
            /** @description Address it came from. */
            sender: string;
            /** @description What it says, before protection. */
            text: string;
        };
        /** @description A page of notices, newest first. */
        NoticePage: {
            /** @description The rows. */
            items: components["schemas"]["NoticeRow"][];
            /** @description `after` of the next page. */
            next?: string | null;
        };
        /** @description One notice in a list. */
        NoticeRow: {
            /**
             * Format: int64
             * @description Cases it speaks of.
             */
            cases: number;
            /** @description When it was written. */
            created_at: components["schemas"]["Instant"];
            /**
             * Format: int64
             * @description Findings it lists.
             */
            findings: number;
            /** @description Language it is written in. */
            language: string;
            /** @description Id. */
            notice_id: string;
            /** @enum {string} */
            protection: "openpgp" | "link-only";
            /** @description Who was told. */
            provider: components["schemas"]["ProviderRef"];
            /** @description Address it went to. */
            recipient: string;
            /**
             * Format: int64
             * @description Number of that round.
             */
            round?: number | null;
            sent_at?: components["schemas"]["Instant"] | null;
            /** @enum {string} */
            state: "queued" | "sending" | "sent" | "failed" | "delivery-uncertain";
            /** @description Subject line. */
            subject: string;
            /** @description Round it reports. */
            survey_id: string;
        };
        /** @description A page of requests, oldest first. */
        OptOutPage: {
            /** @description The rows. */
            items: components["schemas"]["OptOutRow"][];
            /** @description `after` of the next page. */
            next?: string | null;
        };
        /** @description One request. */
        OptOutRow: {
            /** @description How the requester can be reached. */
            contact: string;
            /** @description When it was made. */
            created_at: components["schemas"]["Instant"];
            decided_at?: components["schemas"]["Instant"] | null;
            /** @description Address the request came from. */
            from: string;
            /** @description What shall be left alone. */
            prefix: string;
            /** @description Reference to the proof. */
            proof?: string | null;
            /** @description Its id. */
            request_id: string;
            /** @enum {string} */
            state: "open" | "accepted" | "declined";
            /** @description What they said. */
            words: string;
        };
        /** @description The figures of the circle: every count with what it is a part of. */
        Overview: {
            /** @description When the figures were computed. */
            as_of: components["schemas"]["Instant"];
            /** @description Cases now. */
            cases: components["schemas"]["CaseFigures"];
            /** @description Findings that hold now, by kind. */
            kinds: components["schemas"]["KindRow"][];
            /** @description Notices now, by state. */
            notices: {
                [key: string]: number;
            };
            /**
             * @description What stands with each provider, the largest first; the row without provider has nobody to
             *     notify. Empty for who may not see rows.
             */
            providers: components["schemas"]["ProviderFigures"][];
            /** @description Assessed rounds, oldest first, the newest 200 at most. */
            rounds: components["schemas"]["RoundRow"][];
        };
        /** @description What a person types to change their password. */
        PasswordChange: {
            /** @description The present one. */
            current: string;
            /** @description The one to be used from now on: 10 characters at least. */
            new: string;
        };
        /** @description Every time a port of an address was asked. */
        ProbeList: {
            /** @description Newest first, at most 1,000. */
            items: components["schemas"]["ProbeRow"][];
            /** @description There are older ones. */
            more: boolean;
        };
        /** @description One target that was asked, whether it answered or not. */
        ProbeRow: {
            /** @description It was asked not before this… */
            from: components["schemas"]["Instant"];
            /** @description Its mandate. */
            mandate_id: string;
            /** @enum {string} */
            outcome?: "answered" | "refused" | "silent-host-alive" | "dark" | "filtered" | "limited" | "error";
            /**
             * Format: int32
             * @description Port.
             */
            port: number;
            /** @description Its programme. */
            programme: string;
            /**
             * Format: int64
             * @description Its number in the programme.
             */
            round: number;
            /** @description What it is called; none for the hub's own. */
            sensor?: string | null;
            /** @description The sensor that asked. */
            sensor_id: string;
            /** @description Survey. */
            survey_id: string;
            /** @description …and not after this. */
            to: components["schemas"]["Instant"];
            /** @description `tcp` or `udp`. */
            transport: string;
        };
        /** @description What went wrong, for a program (`code`) and for a person. */
        Problem: {
            /** @description A stable word for this kind of problem, e.g. `not-found`. The interface translates it. */
            code: string;
            /** @description What was attempted and on what. */
            detail?: string | null;
            /** @description One thing to do about it. */
            hint?: string | null;
            /** @description Which part of a query is meant, from and to, in UTF-16 units. */
            span?: number[] | null;
            /**
             * Format: int32
             * @description HTTP status.
             */
            status: number;
            /** @description Short English title. */
            title: string;
        };
        /** @description How far a survey is. Also the event of the progress stream. */
        Progress: {
            /**
             * Format: int64
             * @description Targets that answered.
             */
            answered: number;
            /**
             * Format: int64
             * @description Targets with a final outcome.
             */
            done: number;
            /**
             * Format: int64
             * @description Seconds left at this pace.
             */
            eta_s?: number | null;
            /** @description True when nothing will change any more. */
            finished: boolean;
            miss?: components["schemas"]["Miss"] | null;
            /** @description Services recognised so far, by protocol. */
            protocols: {
                [key: string]: number;
            };
            /**
             * Format: double
             * @description Exchanges a second, lately.
             */
            rate_per_s?: number | null;
            /**
             * Format: int64
             * @description Exchanges sent.
             */
            sent: number;
            /** @enum {string} */
            state: "planned" | "queued" | "running" | "stopped" | "finished" | "failed";
            /**
             * Format: int64
             * @description Targets of the survey.
             */
            total: number;
        };
        /** @description A proof of deletion. */
        ProofRow: {
            /** @description The key (Ed25519), hexadecimal. */
            public_key: string;
            /** @description The sensor whose key it is. */
            sensor_id: string;
            /** @description SHA-256 of the text, hexadecimal, which the next one names. */
            sha256: string;
            /** @description Over `kenshin-erasure-v1`, a zero byte and the text, hexadecimal. */
            signature: string;
            /** @description What is stated, as JSON text: exactly what is signed. */
            statement: string;
        };
        /** @description What stands with one provider. */
        ProviderFigures: {
            /**
             * Format: int64
             * @description Cases so far.
             */
            cases: number;
            /**
             * Format: int64
             * @description Closed: host alive, service gone.
             */
            exposure_ended: number;
            /**
             * Format: int64
             * @description Findings that hold.
             */
            findings: number;
            /** @description Findings that hold, by kind. */
            kinds: {
                [key: string]: number;
            };
            /**
             * Format: int64
             * @description Of which a notice was sent.
             */
            notified: number;
            /**
             * Format: int64
             * @description Of these, not closed; those with nobody to notify included.
             */
            open: number;
            provider?: components["schemas"]["ProviderRef"] | null;
            /**
             * Format: int64
             * @description Closed: same asset, answering, clean.
             */
            remedied: number;
            /**
             * Format: int64
             * @description Not closed, and not to be told.
             */
            unobservable: number;
        };
        /** @description A page of providers, by name. */
        ProviderPage: {
            /** @description The rows. */
            items: components["schemas"]["ProviderRow"][];
            /** @description `after` of the next page. */
            next?: string | null;
        };
        /** @description A provider's id and name. */
        ProviderRef: {
            /** @description Name. */
            name: string;
            /** @description Id. */
            provider_id: string;
        };
        /** @description One provider. */
        ProviderRow: {
            /**
             * Format: int64
             * @description Cases so far.
             */
            cases: number;
            /** @description Prefixes and AS numbers it declared. */
            claims: string[];
            /** @description Language of the notices. */
            language: string;
            /** @description Address notices go to. */
            mail: string;
            /** @description Name. */
            name: string;
            /**
             * Format: int64
             * @description Of these, not closed.
             */
            open: number;
            /** @enum {string} */
            protection: "openpgp" | "link-only";
            /** @description Id. */
            provider_id: string;
            /** @description No longer in the directory. */
            retired: boolean;
        };
        /** @description One kind in public. */
        PublicKind: {
            /** @description Devices. */
            assets: components["schemas"]["Cell"];
            /** @enum {string} */
            kind: "telnet-open" | "default-credentials" | "admin-open" | "known-exploited" | "end-of-life" | "anonymous-ftp" | "anonymous-mqtt" | "broken-tls" | "database-open" | "adb-open" | "screen-open" | "snmp-public" | "open-resolver" | "amplifier" | "controller-exposed" | "smb1" | "cwmp-exposed" | "rdp-without-nla" | "weak-ssh" | "shared-key" | "unmaintained-component" | "altered-content";
        };
        /** @description What became of the cases. */
        PublicOutcome: {
            /** @description Still there. */
            affected: components["schemas"]["Cell"];
            /** @description Device alive, service closed. */
            exposure_ended: components["schemas"]["Cell"];
            /** @description Cases of which a notice was sent. */
            notified: components["schemas"]["Cell"];
            /** @description Same device, answering, clean. */
            remedied: components["schemas"]["Cell"];
            /** @description Not to be told: never counted as healthy. */
            unobservable: components["schemas"]["Cell"];
        };
        /** @description One round in public. */
        PublicRound: {
            /**
             * Format: int64
             * @description Addresses surveyed.
             */
            addresses: number;
            /** @description Devices with at least one weakness. */
            affected: components["schemas"]["Cell"];
            /**
             * Format: double
             * @description Percent of the targets with a final outcome.
             */
            coverage_percent: number;
            ended_at?: components["schemas"]["Instant"] | null;
            /** @description Addresses at which something answered. */
            responders: components["schemas"]["Cell"];
            /**
             * Format: int64
             * @description Its number.
             */
            round: number;
        };
        /** @description One question of the priority with its answer. */
        QuestionRow: {
            /** @description A word of SSVC, such as `active`. */
            answer: string;
            /** @description `exploitation`, `exposure`, `automatable` or `impact`. */
            question: string;
            /** @description Why, in the language asked for. */
            reasons: string[];
        };
        /** @description A re-check that was asked for. */
        Recheck: {
            /** @description The durable job that will do it. */
            job_id: string;
        };
        /** @description Retention as it stands. */
        RetentionView: {
            /** @description What is due now, held or not. */
            due: components["schemas"]["DueRow"][];
            /** @description What is wrong with the chain of proofs. */
            fault?: string | null;
            /** @description Holds in force. */
            holds: components["schemas"]["HoldRow"][];
            /** @description The same of single mandates. */
            mandates: {
                [key: string]: {
                    [key: string]: string;
                };
            };
            /** @description Erasures under way. */
            open: components["schemas"]["ErasureRow"][];
            /**
             * @description For how long what is kept when nothing else is said of its mandate, by table, blobs by class
             *     (`blobs/banner`). What is not named is kept for ever.
             */
            policy: {
                [key: string]: string;
            };
            /** @description Proofs of deletion, in their order. */
            proofs: components["schemas"]["ProofRow"][];
        };
        /** @description What one round measured, and how the cases stood right after it. */
        RoundRow: {
            /** @description Addresses whose every target has a final outcome, of those planned. */
            addresses: components["schemas"]["Share"];
            /**
             * Format: int64
             * @description Devices told apart.
             */
            assets: number;
            /**
             * Format: int64
             * @description Of these, what they are is unknown.
             */
            assets_unknown: number;
            /** @description When it was assessed. */
            at: components["schemas"]["Instant"];
            /**
             * Format: int64
             * @description Cases not closed right after it, those with nobody to notify included.
             */
            cases_open: number;
            /**
             * Format: int64
             * @description Exchanges sent.
             */
            exchanges: number;
            /**
             * Format: int64
             * @description Addresses left out on purpose: neither healthy nor unmeasured.
             */
            excluded: number;
            /**
             * Format: int64
             * @description Findings that held.
             */
            findings: number;
            /** @description Cases it judged, by condition. */
            judged: {
                [key: string]: number;
            };
            /** @enum {string} */
            kind: "survey" | "recheck";
            miss?: components["schemas"]["Miss"] | null;
            /**
             * Format: int64
             * @description Of these: nobody to notify.
             */
            no_addressee: number;
            /**
             * Format: int64
             * @description Cases first notified up to then.
             */
            notified: number;
            /** @description The programme it is a round of. */
            programme: string;
            /**
             * Format: int64
             * @description Addresses where something answered.
             */
            responders: number;
            /**
             * Format: int64
             * @description Its number in the programme.
             */
            round: number;
            /**
             * Format: int64
             * @description Services that answered.
             */
            services: number;
            /** @description The survey. */
            survey_id: string;
            /** @description Targets (address and port) with a final outcome, of those planned. */
            targets: components["schemas"]["Share"];
            /**
             * @description Hosts without findings that answered in the round before and are dark now, of those that
             *     answered: how much silence means nothing.
             */
            vanished: components["schemas"]["Share"];
        };
        /** @description One saved search with its alerts. */
        SavedSearchDetail: {
            /** @description Newest first. */
            alerts: components["schemas"]["AlertRow"][];
            /** @description The row of the list. */
            search: components["schemas"]["SavedSearchRow"];
        };
        /** @description A search that was saved. */
        SavedSearchMade: {
            /** @description It. */
            search: components["schemas"]["SavedSearchRow"];
            /** @description What its webhook's messages are signed with, told once. */
            secret?: string | null;
        };
        /** @description A page of saved searches, oldest first. */
        SavedSearchPage: {
            /** @description The rows. */
            items: components["schemas"]["SavedSearchRow"][];
            /** @description `after` of the next page. */
            next?: string | null;
        };
        /** @description One saved search. */
        SavedSearchRow: {
            alerted_at?: components["schemas"]["Instant"] | null;
            /** @description When it was saved. */
            created_at: components["schemas"]["Instant"];
            /** @description False when it is to stay silent. */
            enabled: boolean;
            /**
             * Format: int64
             * @description Least seconds between two alerts.
             */
            interval_s: number;
            /** @description Language of its mails. */
            language: string;
            /** @description When its answer was last looked at. */
            looked_at: components["schemas"]["Instant"];
            /** @description Mail addresses that are told. */
            mails: string[];
            /** @description The caller may silence and delete it. */
            may_change: boolean;
            /** @description What its owner calls it. */
            name: string;
            /** @enum {string} */
            on: "new" | "gone" | "any" | "count";
            /** @description As whom it looks. */
            owner: string;
            /** @description The query. */
            query: string;
            /** @description Id. */
            search_id: string;
            /**
             * Format: int64
             * @description Services found at the last look.
             */
            services: number;
            /**
             * Format: int64
             * @description For `count`: of how many services.
             */
            threshold?: number | null;
            /** @enum {string} */
            trouble?: "owner-disabled" | "owner-may-not-search" | "misunderstood" | "too-many" | "failed";
            /**
             * Format: int64
             * @description Places that were not, or not certainly, told of its last alert.
             */
            undelivered: number;
            /** @description Address that is told by HTTP; of others' searches its host alone. */
            webhook?: string | null;
        };
        /** @description A page of services. */
        SearchPage: {
            /** @description The services. */
            items: components["schemas"]["Service"][];
            known_by?: components["schemas"]["Instant"] | null;
            /** @description `after` of the next page. */
            next?: string | null;
            /** @description The query as it was understood. */
            query: string;
            /** @description How much it finds in all. */
            total: components["schemas"]["SearchTotal"];
        };
        /** @description How much a query finds. */
        SearchTotal: {
            /**
             * Format: int64
             * @description Addresses that they are at.
             */
            hosts: number;
            /**
             * Format: int64
             * @description Services.
             */
            services: number;
        };
        /** @description A page of sensors. */
        SensorPage: {
            /** @description The rows. */
            items: components["schemas"]["SensorRow"][];
            /** @description `after` of the next page. */
            next?: string | null;
        };
        /** @description One sensor. */
        SensorRow: {
            /**
             * Format: int64
             * @description Batches that came from it.
             */
            batches: number;
            /** @description When it enrolled. */
            enrolled_at: components["schemas"]["Instant"];
            /** @description What it is called. */
            name: string;
            /** @description Its public key, hexadecimal, for mandates. */
            public_key: string;
            retired_at?: components["schemas"]["Instant"] | null;
            seen_at?: components["schemas"]["Instant"] | null;
            /** @description Its id, for mandates. */
            sensor_id: string;
        };
        /** @description One service. What it says of itself is hostile text. */
        Service: {
            /** @description Address. */
            addr: string;
            /** @description Its name. */
            as_name?: string | null;
            /** @description When it was last asked. */
            asked_at: components["schemas"]["Instant"];
            /**
             * Format: int64
             * @description Autonomous system.
             */
            asn?: number | null;
            /** @description What it says first, or of itself. */
            banner?: string | null;
            cert_expires_at?: components["schemas"]["Instant"] | null;
            /** @description Issuer of the certificate. */
            cert_issuer?: string | null;
            /** @description Names in the certificate. */
            cert_names: string[];
            /** @description SHA-256 of the certificate. */
            cert_sha256?: string | null;
            /** @description Subject of the certificate. */
            cert_subject?: string | null;
            /** @description Country, two letters. */
            country?: string | null;
            /** @description CPE 2.3 name of the device. */
            cpe?: string | null;
            /** @description Kind of device. */
            device_type?: string | null;
            /**
             * Format: int32
             * @description MurmurHash3 of the icon.
             */
            favicon?: number | null;
            /** @description When it was first seen to answer. */
            first_at: components["schemas"]["Instant"];
            /** @description Fingerprint of SSH algorithms. */
            hassh?: string | null;
            /** @description Fingerprint of the TLS answer. */
            ja3s?: string | null;
            /** @description SHA-256 of the SSH host key or TLS public key. */
            key_sha256?: string | null;
            /** @description What makes it no device. */
            labels: string[];
            /** @description Mandate under which it was last asked. */
            mandate_id: string;
            /**
             * Format: int32
             * @description Port.
             */
            port: number;
            /** @description Its model. */
            product?: string | null;
            /** @description What it spoke; none when that is not known. */
            protocol?: string | null;
            /** @description Who can reach the owner. */
            provider?: string | null;
            /** @description Part of the country, ISO 3166-2. */
            region?: string | null;
            /** @description When it was last seen to answer. */
            seen_at: components["schemas"]["Instant"];
            /** @description Sensor that last asked. */
            sensor_id: string;
            /** @description Its Server header. */
            server?: string | null;
            /** @description Software that shows at this port. */
            software: components["schemas"]["SoftwareRow"][];
            /** @description `answered`, or how the last attempt ended. */
            state: string;
            /**
             * Format: int32
             * @description Status code.
             */
            status?: number | null;
            /** @description Survey that last asked. */
            survey_id: string;
            /** @description Title of its page. */
            title?: string | null;
            /** @description Traffic Light Protocol. */
            tlp: string;
            /** @description Version of TLS. */
            tls?: string | null;
            /** @description `tcp` or `udp`. */
            transport: string;
            /** @description Maker of the device. */
            vendor?: string | null;
            /** @description Version of its firmware. */
            version?: string | null;
        };
        /** @description Who is signed in, if anybody. */
        SessionState: {
            me?: components["schemas"]["Me"] | null;
        };
        /** @description A count with its denominator. */
        Share: {
            /**
             * Format: int64
             * @description How many.
             */
            count: number;
            /**
             * Format: int64
             * @description Of how many.
             */
            of: number;
        };
        /** @description What a person types to sign in. */
        SignIn: {
            /** @description Account name. */
            login: string;
            /** @description Password. */
            password: string;
        };
        /** @description Software that shows at a port. */
        SoftwareRow: {
            /** @description CPE 2.3 name. */
            cpe?: string | null;
            /** @description Name. */
            product: string;
            /** @description Maker. */
            vendor?: string | null;
            /** @description Version, when disclosed. */
            version?: string | null;
        };
        /** @description An answer as JSON. */
        SqlAnswer: {
            /** @description Columns, in order. */
            columns: components["schemas"]["SqlColumn"][];
            /** @description A row as object by the names of columns. What was received is hostile text. */
            rows: Record<string, never>[];
        };
        /** @description A column. */
        SqlColumn: {
            /** @description Type, as Arrow writes it. */
            kind: string;
            /** @description Name. */
            name: string;
        };
        /**
         * @description How an answer is written.
         * @enum {string}
         */
        SqlFormat: "json" | "jsonl" | "csv" | "parquet";
        /** @description A query. */
        SqlQuestion: {
            /** @description How the answer is written; `json` when left out. */
            format?: components["schemas"]["SqlFormat"];
            /**
             * Format: int32
             * @description Most rows of the answer: one more is an error, never a silent cut. 1,000 when left out.
             */
            rows?: number | null;
            /**
             * @description One `SELECT`, over the tables that docs/sql.md lists.
             * @example SELECT protocol, count(*) AS n FROM services GROUP BY 1 ORDER BY 2 DESC
             */
            sql: string;
        };
        /** @description What was seen first. Never changes. */
        SubjectRow: {
            /** @description The device. */
            asset_id: string;
            /** @description When. */
            at: components["schemas"]["Instant"];
            /** @description Where. */
            endpoint: string;
            /** @description Keys that identified the device alone. */
            keys: components["schemas"]["KeyRow"][];
            /** @description Product claimed. */
            product?: string | null;
        };
        /** @description One survey. */
        SurveyDetail: {
            figures?: components["schemas"]["RoundRow"] | null;
            /** @description Id of its mandate. */
            mandate_id?: string | null;
            /** @description The row of the list. */
            survey: components["schemas"]["SurveyRow"];
        };
        /** @description A page of surveys, newest first. */
        SurveyPage: {
            /** @description The rows. */
            items: components["schemas"]["SurveyRow"][];
            /** @description `after` of the next page. */
            next?: string | null;
        };
        /** @description One survey in a list. */
        SurveyRow: {
            /** @description When it was asked for. */
            created_at: components["schemas"]["Instant"];
            ended_at?: components["schemas"]["Instant"] | null;
            /** @enum {string} */
            kind: "survey" | "recheck";
            /** @description SHA-256 of the mandate's signed text. */
            mandate_digest: string;
            /** @description Programme. */
            programme: string;
            /** @description How far it is. */
            progress: components["schemas"]["Progress"];
            /** @description Why it stopped or failed. */
            reason?: string | null;
            /**
             * Format: int64
             * @description Its number in the programme.
             */
            round: number;
            started_at?: components["schemas"]["Instant"] | null;
            /** @enum {string} */
            state: "planned" | "queued" | "running" | "stopped" | "finished" | "failed";
            /** @description Id. */
            survey_id: string;
        };
        /** @description An enrolment token, told once. */
        Token: {
            /**
             * Format: int64
             * @description Seconds for which it is good.
             */
            for_s: number;
            /** @description For `kenshin sensor enrol --token`. */
            token: string;
        };
        /** @description One event of a trail. */
        TrailRow: {
            /** @description Name of the person, or of the rule. */
            actor: string;
            /** @description When. */
            at: components["schemas"]["Instant"];
            /** @description What happened. */
            change: string;
            /** @description Finding it speaks of. */
            finding?: string | null;
            /** @description What was said: text, never markup. */
            note?: string | null;
            /** @description Notice it speaks of. */
            notice_id?: string | null;
            /** @description True when a person acted. */
            person: boolean;
            /** @description Why, in the language asked for. */
            reasons: string[];
            /**
             * Format: int64
             * @description From 1, without gaps.
             */
            seq: number;
            /** @description Survey it stands on. */
            survey_id?: string | null;
            /** @description The words that belong to it: condition, reason, severity, basis and so on. */
            words: {
                [key: string]: string;
            };
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    audit_list: {
        parameters: {
            query?: {
                /** @description `next` of the page before. */
                after?: string;
                /** @description Rows wanted. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditPage"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    cases_list: {
        parameters: {
            query?: {
                /** @description `next` of the page before. */
                after?: string;
                /** @description Rows wanted. */
                limit?: number;
                /** @description At this stage. */
                stage?: string;
                /** @description Only those not closed. */
                open?: boolean;
                /** @description In this condition. */
                condition?: string;
                /** @description Closed for this reason. */
                reason?: string;
                /** @description With this remedy. */
                remedy?: string;
                /** @description Of this severity. */
                severity?: string;
                /** @description Of this provider. */
                provider?: string;
                /**
                 * @description At this address or in this prefix.
                 * @example 192.0.2.0/24
                 */
                net?: string;
                sort?: "key" | "priority";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CasePage"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    cases_show: {
        parameters: {
            query?: {
                /**
                 * @description Language tag; `en` when it is left out or unknown.
                 * @example ja
                 */
                lang?: string;
            };
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CaseDetail"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    cases_acknowledge: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Note"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CaseRow"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    cases_close: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Close"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CaseRow"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    cases_dispute: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Note"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CaseRow"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    cases_recheck: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Recheck"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    components_list: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ComponentList"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    components_show: {
        parameters: {
            query?: {
                /** @description Carriers listed at most; all are counted. */
                limit?: number;
            };
            header?: never;
            path: {
                /** @example gsoap:<2.8.48 */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ComponentDetail"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    findings_list: {
        parameters: {
            query?: {
                /** @description `next` of the page before. */
                after?: string;
                /** @description Rows wanted. */
                limit?: number;
                /** @description Of this kind. */
                kind?: string;
                /** @description Of this severity. */
                severity?: string;
                /** @description With this remedy. */
                remedy?: string;
                /** @description In this state. */
                state?: string;
                /** @description Of this provider. */
                provider?: string;
                /** @description Only those with nobody to notify. */
                no_addressee?: boolean;
                /**
                 * @description At this address or in this prefix.
                 * @example 192.0.2.0/24
                 */
                net?: string;
                /** @description Holding in this survey. */
                survey?: string;
                /** @description On this device. */
                asset?: string;
                sort?: "key" | "priority";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FindingPage"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    findings_show: {
        parameters: {
            query?: {
                /**
                 * @description Language tag; `en` when it is left out or unknown.
                 * @example ja
                 */
                lang?: string;
            };
            header?: never;
            path: {
                key: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FindingDetail"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    health_show: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    hosts_show: {
        parameters: {
            query?: {
                /**
                 * @description As it was known at this instant (RFC 3339) or at the end of this day (UTC); today when left out.
                 * @example 2026-10-01
                 */
                at?: string;
            };
            header?: never;
            path: {
                addr: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["HostDetail"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    hosts_probes: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                addr: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProbeList"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    mandates_list: {
        parameters: {
            query?: {
                /** @description `next` of the page before. */
                after?: string;
                /** @description Rows wanted. */
                limit?: number;
                /** @description Language tag. */
                lang?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MandatePage"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    mandates_show: {
        parameters: {
            query?: {
                /**
                 * @description Language tag; `en` when it is left out or unknown.
                 * @example ja
                 */
                lang?: string;
            };
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MandateDetail"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    notices_list: {
        parameters: {
            query?: {
                /** @description `next` of the page before. */
                after?: string;
                /** @description Rows wanted. */
                limit?: number;
                /** @description To this provider. */
                provider?: string;
                /** @description In this state. */
                state?: string;
                /** @description Of this round. */
                survey?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NoticePage"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    notices_show: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NoticeDetail"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    notices_genuine: {
        parameters: {
            query: {
                /** @description The digest that the mail states. */
                digest: string;
            };
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Genuine"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    opt_outs_list: {
        parameters: {
            query?: {
                /** @description `next` of the page before. */
                after?: string;
                /** @description Rows wanted. */
                limit?: number;
                /**
                 * @description Only those that stand so.
                 * @example open
                 */
                state?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OptOutPage"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    opt_outs_decide: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Decision"];
            };
        };
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    overview_show: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Overview"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    providers_list: {
        parameters: {
            query?: {
                /** @description `next` of the page before. */
                after?: string;
                /** @description Rows wanted. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProviderPage"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    retention_show: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RetentionView"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    search_list: {
        parameters: {
            query?: {
                /**
                 * @description The query.
                 * @example port:23 country:JP vendor:buffalo seen:7d
                 */
                q?: string;
                /**
                 * @description Field to sort by, with `-` before it for the greatest first; by address when left out.
                 * @example -seen
                 */
                sort?: string;
                /** @description `next` of the page before. */
                after?: string;
                /** @description Rows wanted. */
                limit?: number;
                /**
                 * @description As it was known at this instant (RFC 3339) or at the end of this day (UTC); now when left out. Ages
                 *     in the query are measured from then.
                 * @example 2026-10-01
                 */
                at?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SearchPage"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    search_export: {
        parameters: {
            query?: {
                /** @description The query. */
                q?: string;
                /**
                 * @description Field to sort by, with `-` before it for the greatest first; by address when left out.
                 * @example -seen
                 */
                sort?: string;
                /**
                 * @description As it was known at this instant (RFC 3339) or at the end of this day (UTC); now when left out.
                 * @example 2026-10-01
                 */
                at?: string;
                /** @description `csv` when left out. */
                format?: "csv" | "jsonl" | "parquet";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description or the format asked for */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/csv": string;
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    search_facets: {
        parameters: {
            query: {
                /** @description The query. */
                q?: string;
                /**
                 * @description Fields with commas between, each with the number of values wanted behind a colon.
                 * @example port:10,country,product:20
                 */
                fields: string;
                /**
                 * @description As it was known at this instant (RFC 3339) or at the end of this day (UTC); now when left out.
                 * @example 2026-10-01
                 */
                at?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FacetList"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    search_fields: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FieldList"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    searches_list: {
        parameters: {
            query?: {
                /** @description `next` of the page before. */
                after?: string;
                /** @description Rows wanted. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SavedSearchPage"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    searches_save: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewSavedSearch"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SavedSearchMade"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    searches_show: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SavedSearchDetail"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    searches_delete: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    searches_check: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LookRow"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    searches_disable: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SavedSearchRow"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    searches_enable: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SavedSearchRow"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    sensor_batches: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description A JSON array of signed batches, gzip */
        requestBody: {
            content: {
                "application/json": number[];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    sensor_enrol: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description Token, public key and head of the sensor's chain */
        requestBody: {
            content: {
                "application/json": unknown;
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    sensor_end: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        /** @description Number of the lease, and how it ended */
        requestBody: {
            content: {
                "application/json": unknown;
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    sensor_pulse: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        /** @description Number of the lease, and progress */
        requestBody: {
            content: {
                "application/json": unknown;
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    sensor_lease: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    sensor_leave_alone: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description An address, or a request about a prefix */
        requestBody: {
            content: {
                "application/json": unknown;
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    sensor_papers: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    sensors_list: {
        parameters: {
            query?: {
                /** @description `next` of the page before. */
                after?: string;
                /** @description Rows wanted. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SensorPage"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    sensors_token: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewToken"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Token"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    sensors_retire: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SensorRow"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    session_show: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SessionState"];
                };
            };
        };
    };
    session_sign_in: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SignIn"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SessionState"];
                };
            };
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    session_sign_out: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    session_change_password: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PasswordChange"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SessionState"];
                };
            };
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    sql_ask: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SqlQuestion"];
            };
        };
        responses: {
            /** @description or the format asked for */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SqlAnswer"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    surveys_list: {
        parameters: {
            query?: {
                /** @description `next` of the page before. */
                after?: string;
                /** @description Rows wanted. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SurveyPage"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    surveys_show: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SurveyDetail"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    surveys_events: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["Progress"];
                };
            };
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
}
